-- What operators did; nothing here is changed or deleted.
CREATE TABLE audit (
    number bigint PRIMARY KEY,
    at bigint NOT NULL,
    operator text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    details text NOT NULL
);
