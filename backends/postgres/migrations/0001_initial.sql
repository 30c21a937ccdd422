-- The first schema. Rules for every migration are in src/schema.rs.
--
-- Texts that are compared are in the collation "C": by bytes, whatever the database's own is. Texts that clients choose
-- are stored as src/text.rs writes them. A device's rows carry its generation, which is unique in the store and never
-- used again, so nothing of one life of a device id can reach the next.

-- What the store is, in one row.
CREATE TABLE store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The schema that the database has.
    schema_version integer NOT NULL,
    -- The oldest schema whose nodes can run on it.
    oldest_node integer NOT NULL,
    -- The life of the store that tokens name.
    epoch bigint NOT NULL,
    -- Positions are transaction ids above this.
    base bigint NOT NULL,
    -- A position that was reached, noted now and then.
    reached bigint NOT NULL,
    -- The cluster and the database that the transaction ids come from.
    cluster text NOT NULL COLLATE "C",
    server_name text COLLATE "C",
    signing_key bytea,
    signing_key_version text
);

-- The base and the epoch as long as the cluster runs without a crash. Unlogged, so a recovery leaves it empty: then no
-- position can be taken until src/epoch.rs has opened the store anew. That is on purpose. A transaction id whose end
-- was not written out may be given again after a crash, and tokens may name it already.
CREATE UNLOGGED TABLE running (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch bigint NOT NULL,
    base bigint NOT NULL
);

-- The position of this transaction. NULL, which no row takes, when the store is not running. Where that is written out in
-- a statement, for speed, it must be NULL then, too, and not no row: else nothing would be written, and nobody told.
CREATE FUNCTION position_now() RETURNS bigint LANGUAGE sql VOLATILE AS
    $$ SELECT base + pg_current_xact_id()::text::bigint FROM running $$;

-- The position below which everything is final. NULL when the store is not running. Stable: it is of the view of the
-- statement that asks, so what the statement reads is complete below it.
CREATE FUNCTION horizon_now() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT base + pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM running $$;

-- Whom changes wake. Pruned; src/stream.rs says how far back it reaches.
CREATE TABLE change_log (
    position bigint NOT NULL,
    kind smallint NOT NULL,
    subject text NOT NULL COLLATE "C",
    detail text NOT NULL COLLATE "C"
);
CREATE INDEX change_log_position ON change_log (position);

-- Everything at this position and after is in the log of changes.
CREATE TABLE change_floor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL
);

CREATE TABLE account (
    user_id text PRIMARY KEY COLLATE "C",
    password_hash text,
    guest boolean NOT NULL,
    admin boolean NOT NULL,
    deactivated boolean NOT NULL,
    locked boolean NOT NULL,
    suspended boolean NOT NULL,
    created_at bigint NOT NULL,
    -- Id and display name in small letters, for the user directory.
    search text NOT NULL COLLATE "C"
);

CREATE SEQUENCE device_generation AS bigint;

CREATE TABLE device (
    generation bigint PRIMARY KEY,
    user_id text NOT NULL COLLATE "C",
    device_id text NOT NULL COLLATE "C",
    display_name text,
    created_at bigint NOT NULL,
    -- The opaque data of a dehydrated device, which has no session; NULL for an ordinary one.
    dehydrated_data text,
    -- The identity keys as the client signed them; NULL if it has none.
    identity_keys text,
    UNIQUE (user_id, device_id)
);

-- Apart from the device, because it changes often and need not be durable at once.
CREATE TABLE device_seen (
    generation bigint PRIMARY KEY,
    at bigint NOT NULL,
    ip text
);

CREATE TABLE token (
    hash bytea PRIMARY KEY,
    generation bigint NOT NULL,
    -- Whether it is a refresh token; else an access token.
    refresh boolean NOT NULL,
    -- Tokens of one login or refresh share this number; later ones have larger numbers.
    pair bigint NOT NULL,
    expires_at bigint,
    -- Its pair was not used yet, and older ones may live.
    retires boolean NOT NULL
);
CREATE INDEX token_device ON token (generation, pair);
CREATE SEQUENCE token_pair AS bigint;

-- A device's keys of one algorithm, a queue: keys get numbers from next up and leave from first on, by a claim or by the
-- cap, so the count is a difference and the oldest key is found by its number. The row is written by every claim.
CREATE TABLE pool (
    generation bigint NOT NULL,
    algorithm text NOT NULL COLLATE "C",
    -- Ids of keys from this number on, up to first, are remembered as spent.
    spent bigint NOT NULL,
    first bigint NOT NULL,
    next bigint NOT NULL,
    fallback_id text COLLATE "C",
    fallback_key text,
    fallback_used boolean NOT NULL,
    -- The position of the last change that clients are told of.
    changed bigint NOT NULL,
    PRIMARY KEY (generation, algorithm)
) WITH (fillfactor = 70);

-- Keys that wait, and before them those that left their pool: their ids are remembered, so that a late upload does not
-- bring them back. The number alone says which is which, so a claim does not write here.
CREATE TABLE one_time_key (
    generation bigint NOT NULL,
    algorithm text NOT NULL COLLATE "C",
    number bigint NOT NULL,
    key_id text NOT NULL COLLATE "C",
    key text NOT NULL,
    PRIMARY KEY (generation, algorithm, number),
    UNIQUE (generation, algorithm, key_id)
);

CREATE TABLE cross_signing (
    user_id text PRIMARY KEY COLLATE "C",
    revision bigint NOT NULL,
    master text,
    self_signing text,
    user_signing text
);

-- Public keys that are or were in use, which no device id may equal.
CREATE TABLE cross_signing_id (
    user_id text NOT NULL COLLATE "C",
    public_key text NOT NULL COLLATE "C",
    PRIMARY KEY (user_id, public_key)
);

-- Signatures of users on the master keys of others, each for the signer's eyes only.
CREATE TABLE foreign_signature (
    signed text NOT NULL COLLATE "C",
    signer text NOT NULL COLLATE "C",
    key_id text NOT NULL COLLATE "C",
    signature text NOT NULL,
    PRIMARY KEY (signed, signer, key_id)
);

-- A row a change, however many see it.
CREATE TABLE device_list_log (
    position bigint NOT NULL,
    user_id text NOT NULL COLLATE "C",
    PRIMARY KEY (position, user_id)
);

-- Users to name as changed to one user alone.
CREATE TABLE own_device_list_log (
    user_id text NOT NULL COLLATE "C",
    position bigint NOT NULL,
    named text NOT NULL COLLATE "C",
    PRIMARY KEY (user_id, position, named)
);

CREATE TABLE inbox (
    generation bigint NOT NULL,
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (generation, position, ordinal)
);

-- Transactions that were done, with the event that one made.
CREATE TABLE transaction_memory (
    generation bigint NOT NULL,
    scope text NOT NULL COLLATE "C",
    transaction_id text NOT NULL COLLATE "C",
    event_id text COLLATE "C",
    PRIMARY KEY (generation, scope, transaction_id)
);

CREATE TABLE backup_owner (
    user_id text PRIMARY KEY COLLATE "C",
    -- The number of the newest version that ever was.
    last_version bigint NOT NULL
);

CREATE TABLE backup (
    user_id text NOT NULL COLLATE "C",
    version bigint NOT NULL,
    algorithm text NOT NULL COLLATE "C",
    auth_data text NOT NULL,
    count bigint NOT NULL,
    etag bigint NOT NULL,
    PRIMARY KEY (user_id, version)
);

CREATE TABLE backup_key (
    user_id text NOT NULL COLLATE "C",
    version bigint NOT NULL,
    room_id text NOT NULL COLLATE "C",
    session_id text NOT NULL COLLATE "C",
    first_message_index bigint NOT NULL,
    forwarded_count bigint NOT NULL,
    is_verified boolean NOT NULL,
    session_data text NOT NULL,
    PRIMARY KEY (user_id, version, room_id, session_id)
);

CREATE TABLE account_data (
    user_id text NOT NULL COLLATE "C",
    -- Empty for global data, which no room id is.
    room_id text NOT NULL COLLATE "C",
    kind text NOT NULL COLLATE "C",
    content text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (user_id, room_id, kind)
);
CREATE INDEX account_data_position ON account_data (user_id, position);

CREATE TABLE filter (
    user_id text NOT NULL COLLATE "C",
    number bigint NOT NULL,
    filter text NOT NULL,
    PRIMARY KEY (user_id, number)
);

CREATE TABLE profile (
    user_id text NOT NULL COLLATE "C",
    field text NOT NULL COLLATE "C",
    value text NOT NULL,
    PRIMARY KEY (user_id, field)
);

CREATE TABLE pusher (
    user_id text NOT NULL COLLATE "C",
    app_id text NOT NULL COLLATE "C",
    pushkey text NOT NULL COLLATE "C",
    device_id text NOT NULL COLLATE "C",
    generation bigint NOT NULL,
    data text NOT NULL,
    PRIMARY KEY (user_id, app_id, pushkey)
);
CREATE INDEX pusher_key ON pusher (app_id, pushkey);

CREATE TABLE room (
    room_id text PRIMARY KEY COLLATE "C",
    version text NOT NULL,
    revision bigint NOT NULL,
    extremities text[] NOT NULL,
    depth bigint NOT NULL,
    joined bigint NOT NULL,
    invited bigint NOT NULL,
    last_event bigint NOT NULL,
    last_membership bigint NOT NULL,
    encrypted_position bigint,
    encrypted_ordinal integer
) WITH (fillfactor = 70);

-- Apart from the room: receipts and typing take no part in its head and never stand in the way of an append.
CREATE TABLE room_ephemeral (
    room_id text PRIMARY KEY COLLATE "C",
    -- The newest receipt or typing change.
    newest bigint NOT NULL,
    -- The newest typing change.
    typing_changed bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE event (
    event_id text PRIMARY KEY COLLATE "C",
    room_id text NOT NULL COLLATE "C",
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    in_timeline boolean NOT NULL,
    replaces text COLLATE "C",
    transaction_device text COLLATE "C",
    transaction_generation bigint,
    transaction_id text COLLATE "C",
    pdu text NOT NULL
);
CREATE INDEX event_timeline ON event (room_id, position, ordinal) WHERE in_timeline;

-- Which redaction applies to an event: the first one that did.
CREATE TABLE redaction (
    target text PRIMARY KEY COLLATE "C",
    event_id text NOT NULL COLLATE "C"
);

-- All versions of all state, by the place where each began.
CREATE TABLE state_version (
    room_id text NOT NULL COLLATE "C",
    kind text NOT NULL COLLATE "C",
    state_key text NOT NULL COLLATE "C",
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    event_id text NOT NULL COLLATE "C",
    PRIMARY KEY (room_id, kind, state_key, position, ordinal)
);
CREATE INDEX state_version_place ON state_version (room_id, position, ordinal);

CREATE TABLE current_state (
    room_id text NOT NULL COLLATE "C",
    kind text NOT NULL COLLATE "C",
    state_key text NOT NULL COLLATE "C",
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    event_id text NOT NULL COLLATE "C",
    PRIMARY KEY (room_id, kind, state_key)
) WITH (fillfactor = 90);

-- Who is, was, or is to be in which room. The numbers of memberships are in src/rooms/rows.rs.
CREATE TABLE membership (
    user_id text NOT NULL COLLATE "C",
    room_id text NOT NULL COLLATE "C",
    membership smallint NOT NULL,
    previous smallint,
    event_id text NOT NULL COLLATE "C",
    sender text NOT NULL COLLATE "C",
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    forgotten boolean NOT NULL,
    -- Whether two users share a room is answered from this index alone.
    PRIMARY KEY (user_id, room_id) INCLUDE (membership)
) WITH (fillfactor = 90);
CREATE INDEX membership_room ON membership (room_id, membership, user_id);

-- All versions of memberships, which are the log of a room's changes of membership, too.
CREATE TABLE membership_version (
    user_id text NOT NULL COLLATE "C",
    room_id text NOT NULL COLLATE "C",
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    membership smallint NOT NULL,
    previous smallint,
    event_id text NOT NULL COLLATE "C",
    sender text NOT NULL COLLATE "C",
    forgotten boolean NOT NULL,
    PRIMARY KEY (user_id, room_id, position, ordinal)
);
CREATE INDEX membership_version_place ON membership_version (room_id, position, ordinal);

CREATE TABLE relation (
    room_id text NOT NULL COLLATE "C",
    parent text NOT NULL COLLATE "C",
    position bigint NOT NULL,
    ordinal integer NOT NULL,
    rel_type text NOT NULL COLLATE "C",
    kind text NOT NULL COLLATE "C",
    event_id text NOT NULL COLLATE "C",
    PRIMARY KEY (room_id, parent, position, ordinal)
);

CREATE TABLE alias (
    alias text PRIMARY KEY COLLATE "C",
    room_id text NOT NULL COLLATE "C",
    creator text NOT NULL COLLATE "C"
);
CREATE INDEX alias_room ON alias (room_id, alias);

CREATE TABLE published_room (
    room_id text PRIMARY KEY COLLATE "C"
);

CREATE TABLE receipt (
    room_id text NOT NULL COLLATE "C",
    user_id text NOT NULL COLLATE "C",
    kind text NOT NULL COLLATE "C",
    -- Empty for an unthreaded receipt; a thread's id comes after a colon.
    thread text NOT NULL COLLATE "C",
    event_id text NOT NULL COLLATE "C",
    at bigint NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (room_id, user_id, kind, thread)
);
CREATE INDEX receipt_position ON receipt (room_id, position);

CREATE TABLE typing (
    room_id text NOT NULL COLLATE "C",
    user_id text NOT NULL COLLATE "C",
    until bigint NOT NULL,
    PRIMARY KEY (room_id, user_id)
);

CREATE INDEX typing_end ON typing (until);

CREATE TABLE presence (
    user_id text PRIMARY KEY COLLATE "C",
    presence text NOT NULL,
    status_msg text,
    last_active_at bigint NOT NULL,
    position bigint NOT NULL
);
CREATE INDEX presence_position ON presence (position);

-- Who counts as there because of syncing, by which presence, and until when.
CREATE TABLE syncing (
    user_id text PRIMARY KEY COLLATE "C",
    presence text NOT NULL,
    until bigint NOT NULL
);
CREATE INDEX syncing_end ON syncing (until);

CREATE TABLE media (
    media_id text PRIMARY KEY COLLATE "C",
    user_id text NOT NULL COLLATE "C",
    content_type text,
    file_name text,
    size bigint NOT NULL,
    created_at bigint NOT NULL,
    uploaded boolean NOT NULL,
    unauthenticated boolean NOT NULL
);

CREATE TABLE media_content (
    media_id text PRIMARY KEY COLLATE "C",
    content bytea NOT NULL
);
-- Media is compressed already.
ALTER TABLE media_content ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE short_lived (
    kind text NOT NULL COLLATE "C",
    key text NOT NULL COLLATE "C",
    value bytea NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX short_lived_end ON short_lived (expires_at);
