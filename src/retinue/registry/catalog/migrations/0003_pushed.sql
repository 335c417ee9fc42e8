-- No statement asks for manifests by when they were pushed, and each push paid for this index.
-- least code: 1

drop index manifest_pushed;
