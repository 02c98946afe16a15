-- Lists by state page through an index that holds the documents in the order of the list, so that a page costs what it shows
-- and not what waits. Lists of one device are asked for what it has not printed and for its dead letters only.
DROP INDEX documents_open;
CREATE INDEX documents_open ON documents (state) WHERE state <> 5;
CREATE INDEX documents_held ON documents (state, device) WHERE state IN (2, 6);
