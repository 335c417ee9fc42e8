/* Preloaded into a registry: its system calls fail, wait, or tell another time, as a shared page says.

   Python, SQLite and the HTTP server all reach the system through the C library, and so through this. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct page {
  int64_t seconds;     /* how far the wall clock is off */
  int32_t read_errno;  /* what reading fails with; 0: it does not */
  int32_t write_errno; /* the same of writing, and of syncing */
  int32_t sync_usec;   /* how much longer syncing takes */
  int32_t unused;
  char part[256];      /* only files whose path contains this */
};

static volatile struct page *page;
static struct page nothing;

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("FAULTS_PAGE");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  page = &nothing;
  if (fd < 0) return;
  void *found = mmap(NULL, sizeof(struct page), PROT_READ, MAP_SHARED, fd, 0);
  if (found != MAP_FAILED) page = found;
  close(fd);
}

static int is_meant(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return path[0] == '/' && strstr(path, (const char *)page->part) != NULL;
}

static int fails(int fd, int32_t number) {
  if (!page || !number || !is_meant(fd)) return 0;
  errno = number;
  return 1;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)

#define TRANSFER(name, kind, parameters, arguments) \
  ssize_t name parameters { \
    REAL(name); \
    return fails(fd, page ? page->kind##_errno : 0) ? -1 : real arguments; \
  }

TRANSFER(read, read, (int fd, void *to, size_t size), (fd, to, size))
TRANSFER(pread, read, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
TRANSFER(pread64, read, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at))
TRANSFER(preadv, read, (int fd, const struct iovec *to, int n, off_t at), (fd, to, n, at))
TRANSFER(preadv64, read, (int fd, const struct iovec *to, int n, off64_t at), (fd, to, n, at))
TRANSFER(preadv2, read, (int fd, const struct iovec *to, int n, off_t at, int f), (fd, to, n, at, f))
TRANSFER(preadv64v2, read, (int fd, const struct iovec *to, int n, off64_t at, int f), (fd, to, n, at, f))
TRANSFER(write, write, (int fd, const void *from, size_t size), (fd, from, size))
TRANSFER(pwrite, write, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
TRANSFER(pwrite64, write, (int fd, const void *from, size_t size, off64_t at), (fd, from, size, at))
TRANSFER(pwritev, write, (int fd, const struct iovec *from, int n, off_t at), (fd, from, n, at))
TRANSFER(pwritev64, write, (int fd, const struct iovec *from, int n, off64_t at), (fd, from, n, at))
TRANSFER(pwritev2, write, (int fd, const struct iovec *from, int n, off_t at, int f), (fd, from, n, at, f))
TRANSFER(pwritev64v2, write, (int fd, const struct iovec *from, int n, off64_t at, int f), (fd, from, n, at, f))

#define SYNC(name) \
  int name(int fd) { \
    REAL(name); \
    if (fails(fd, page ? page->write_errno : 0)) return -1; \
    if (page && page->sync_usec && is_meant(fd)) usleep(page->sync_usec); \
    return real(fd); \
  }

SYNC(fsync)
SYNC(fdatasync)

int clock_gettime(clockid_t clock, struct timespec *now) {
  REAL(clock_gettime);
  int result = real(clock, now);
  int wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (!result && wall && page) now->tv_sec += page->seconds;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  REAL(gettimeofday);
  int result = real(now, zone);
  if (!result && page) now->tv_sec += page->seconds;
  return result;
}

time_t time(time_t *to) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to) *to = now.tv_sec;
  return now.tv_sec;
}
