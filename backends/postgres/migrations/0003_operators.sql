-- What operators did; nothing here is changed or deleted.
CREATE TABLE audit (
    number bigint PRIMARY KEY,
    at bigint NOT NULL,
    operator text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    details text NOT NULL
);
-- Tokens that let people register. The text is kept, since operators hand it out; requests are looked up by its hash.
CREATE TABLE registration_token (
    hash bytea PRIMARY KEY,
    token text NOT NULL,
    uses_allowed bigint,
    uses_completed bigint NOT NULL,
    expires_at bigint,
    created_at bigint NOT NULL
);
