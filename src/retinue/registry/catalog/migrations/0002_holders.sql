-- Who holds a blob is found by its object (repo_blob_object). This index said the same, and cost
-- every push of a blob a page of its own.
-- least code: 1

drop index repo_blob_digest;
