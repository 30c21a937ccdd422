-- The last tokens of a device that others took the place of.
CREATE TABLE replaced_token (
    hash bytea PRIMARY KEY,
    generation bigint NOT NULL,
    pair bigint NOT NULL
);
CREATE INDEX replaced_token_device ON replaced_token (generation, pair);
