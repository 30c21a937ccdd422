//! The read that every sync starts with.
//!
//! It is one statement, for as many syncs as begin at the same time. A statement has one view of the store, and the
//! horizon in it is that of the same view. What is found comes as rows of several kinds, which are told apart by a number.

use std::sync::Arc;

use async_trait::async_trait;
use olmstead_domain::position::{Cursor, Epoch, Position};
use olmstead_storage::{
    Result, SyncReads,
    account_data::{AccountDataEntry, SETTINGS},
    changes::Horizon,
    ephemeral::Presence,
    rooms::RoomMembership,
    sync::{SyncFacts, SyncQuery},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    PostgresStore,
    error::{Done, Failure},
    rooms::membership_of,
    rows::{At as _, damaged, limit, number, numbered, ordinal, place},
    store::read,
    stream::Stream,
    text::stored_all,
};

/// The kinds of rows, and the columns after `query` and `kind`: four texts, five numbers, two integers, two small ones.
/// The lookups are LATERAL with OFFSET 0, so that each is by a key whatever the planner believes of the number of syncs.
/// Rows are put in order here and not there, where each sort costs something also if there is nothing to sort.
const FACTS: &str = "
    WITH q AS MATERIALIZED (
        SELECT w.*, r.epoch, r.base, r.base + pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon
        FROM running r CROSS JOIN unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::bigint[])
            WITH ORDINALITY AS w (generation, user_id, since, inbox_position, inbox_ordinal, inbox_limit, query)
    )
    -- What is known of the device and the account.
    SELECT q.query, 0::smallint AS kind, NULL::text AS t1, NULL::text AS t2, NULL::text AS t3, q.epoch AS n1,
        q.base AS n2, q.horizon AS n3, (
            SELECT max(position) FROM account_data d
            WHERE d.user_id = q.user_id AND d.room_id = '' AND d.kind = ANY($7)
        ) AS n4, NULL::bigint AS n5, NULL::int AS i1, NULL::int AS i2, (
            SELECT a.locked::int::smallint FROM device d JOIN account a ON a.user_id = d.user_id
            WHERE d.generation = q.generation LIMIT 1
        ) AS s1, NULL::smallint AS s2
    FROM q
    UNION ALL
    -- Memberships, see `memberships` of the rooms.
    SELECT q.query, 1::smallint, m.room_id, m.event_id, m.sender, m.position, m.last_event, m.last_membership,
        m.encrypted_position, m.newest, m.ordinal, m.encrypted_ordinal, m.membership, m.previous
    FROM q CROSS JOIN LATERAL (
        SELECT m.room_id, s.*, r.last_event, r.last_membership, r.encrypted_position, r.encrypted_ordinal, x.newest
        FROM membership m CROSS JOIN LATERAL (
            SELECT m.membership, m.previous, m.event_id, m.sender, m.position, m.ordinal, m.forgotten
            WHERE m.position < q.horizon
            UNION ALL (
                SELECT v.membership, v.previous, v.event_id, v.sender, v.position, v.ordinal, v.forgotten
                FROM membership_version v
                WHERE m.position >= q.horizon AND v.user_id = m.user_id AND v.room_id = m.room_id
                    AND v.position < q.horizon
                ORDER BY v.position DESC, v.ordinal DESC LIMIT 1
            )
        ) s LEFT JOIN room r ON r.room_id = m.room_id LEFT JOIN room_ephemeral x ON x.room_id = m.room_id
        WHERE m.user_id = q.user_id AND (NOT s.forgotten OR (s.position >= q.since AND (
            SELECT v.membership FROM membership_version v
            WHERE v.user_id = m.user_id AND v.room_id = m.room_id AND v.position < q.since
            ORDER BY v.position DESC, v.ordinal DESC LIMIT 1
        ) IN (1, 2, 5)))
        OFFSET 0
    ) m
    UNION ALL
    -- Messages, and one more that tells whether there are more.
    SELECT q.query, 2::smallint, i.event, NULL, NULL, i.position, NULL, NULL, NULL, NULL, i.ordinal, NULL, NULL, NULL
    FROM q CROSS JOIN LATERAL (
        SELECT i.event, i.position, i.ordinal FROM inbox i
        WHERE i.generation = q.generation AND (i.position, i.ordinal) >= (q.inbox_position, q.inbox_ordinal)
            AND i.position < q.horizon
        ORDER BY i.position, i.ordinal LIMIT q.inbox_limit + 1
    ) i
    UNION ALL
    -- Key counts.
    SELECT q.query, 3::smallint, p.algorithm, NULL, NULL, p.count, p.changed, NULL, NULL, NULL, NULL, NULL, p.unused, NULL
    FROM q CROSS JOIN LATERAL (
        SELECT p.algorithm, p.next - p.first AS count, p.changed,
            (p.fallback_key IS NOT NULL AND NOT p.fallback_used)::int::smallint AS unused
        FROM pool p WHERE p.generation = q.generation OFFSET 0
    ) p
    UNION ALL
    -- Account data.
    SELECT q.query, 4::smallint, d.room_id, d.kind, d.content, d.position, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM q CROSS JOIN LATERAL (
        SELECT d.room_id, d.kind, d.content, d.position FROM account_data d
        WHERE d.user_id = q.user_id AND d.position >= coalesce(q.since, 0) AND d.position < q.horizon
        OFFSET 0
    ) d
    UNION ALL
    -- Presence.
    SELECT q.query, 5::smallint, p.user_id, p.presence, p.status_msg, p.last_active_at, p.position, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL
    FROM q CROSS JOIN LATERAL (
        SELECT * FROM presence p WHERE p.position >= coalesce(q.since, 0) AND p.position < q.horizon
        OFFSET 0
    ) p
    UNION ALL
    -- Changes of device lists.
    SELECT q.query, 6::smallint, l.user_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM q CROSS JOIN LATERAL (
        SELECT l.user_id FROM device_list_log l WHERE l.position >= q.since AND l.position < q.horizon OFFSET 0
    ) l
    UNION ALL
    -- Those for this user alone.
    SELECT q.query, 7::smallint, l.named, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM q CROSS JOIN LATERAL (
        SELECT l.named FROM own_device_list_log l
        WHERE l.user_id = q.user_id AND l.position >= q.since AND l.position < q.horizon
        OFFSET 0
    ) l";

// Places of the columns.
const KIND: usize = 1;
const T1: usize = 2;
const T2: usize = 3;
const T3: usize = 4;
const N1: usize = 5;
const N2: usize = 6;
const N3: usize = 7;
const N4: usize = 8;
const N5: usize = 9;
const I1: usize = 10;
const I2: usize = 11;
const S1: usize = 12;
const S2: usize = 13;

/// What was found for one sync.
struct Found {
    /// `None` if the device is gone.
    locked: Option<bool>,
    facts: SyncFacts,
}

impl Found {
    /// From the row that comes first.
    fn begin(row: &PgRow) -> Done<Self> {
        let locked: Option<i16> = row.try_get(S1)?;
        let locked = locked.map(|locked| locked != 0);
        let horizon = Horizon { epoch: Epoch(row.count_at(N1)?), position: row.place_at(N3)? };
        let settings_changed = Position(row.maybe_count_at(N4)?.unwrap_or_default());
        let facts = SyncFacts {
            locked: locked.unwrap_or_default(),
            horizon,
            memberships: Vec::new(),
            inbox: Default::default(),
            key_counts: Default::default(),
            key_counts_changed: Position::START,
            account_data: Vec::new(),
            settings_changed,
            device_lists: Vec::new(),
            own_device_lists: Vec::new(),
            presence: Vec::new(),
        };
        Ok(Self { locked, facts })
    }

    /// The facts, in order, when all rows were added; `None` if the device is gone.
    fn end(self) -> Option<SyncFacts> {
        self.locked?;
        let mut facts = self.facts;
        facts.memberships.sort_unstable_by(|one, other| one.room_id.cmp(&other.room_id));
        facts.key_counts.unused_fallback_keys.sort_unstable();
        facts.account_data.sort_unstable_by(|one, other| {
            (one.position, &one.room_id, &one.kind).cmp(&(other.position, &other.room_id, &other.kind))
        });
        facts
            .presence
            .sort_unstable_by(|one, other| (one.position, &one.user_id).cmp(&(other.position, &other.user_id)));
        for users in [&mut facts.device_lists, &mut facts.own_device_lists] {
            users.sort_unstable();
            users.dedup();
        }
        Some(facts)
    }

    /// Adds a further row.
    fn add(&mut self, row: &PgRow, query: &SyncQuery) -> Done<()> {
        let facts = &mut self.facts;
        match row.try_get::<i16, _>(KIND)? {
            1 => facts.memberships.push(membership(row, facts.horizon.position)?),
            2 if facts.inbox.messages.len() == query.inbox_limit => facts.inbox.more = true,
            2 => facts.inbox.messages.push((Cursor::new(row.place_at(N1)?, row.ordinal_at(I1)?), row.json_at(T1)?)),
            3 => {
                let algorithm = row.text_at(T1)?;
                if row.try_get::<i16, _>(S1)? != 0 {
                    facts.key_counts.unused_fallback_keys.push(algorithm.clone());
                }
                let count = row.count_at(N1)?;
                if count > 0 {
                    facts.key_counts.one_time_keys.insert(algorithm, count);
                }
                facts.key_counts_changed = facts.key_counts_changed.max(row.place_at(N2)?);
            }
            4 => facts.account_data.push(account_data(row)?),
            5 => facts.presence.push(Presence {
                user_id: row.id_at(T1)?,
                presence: row.text_at(T2)?,
                status_msg: row.maybe_text_at(T3)?,
                last_active_at: row.count_at(N1)?,
                position: row.place_at(N2)?,
            }),
            6 => facts.device_lists.push(row.id_at(T1)?),
            7 => facts.own_device_lists.push(row.id_at(T1)?),
            _ => return Err(damaged("kind")),
        }
        Ok(())
    }
}

fn membership(row: &PgRow, horizon: Position) -> Done<RoomMembership> {
    let encrypted_at = match row.maybe_count_at(N4)? {
        Some(position) => Some(Cursor::new(Position(position), row.ordinal_at(I2)?)),
        None => None,
    };
    Ok(RoomMembership {
        room_id: row.id_at(T1)?,
        membership: membership_of(row.try_get(S1)?)?,
        event_id: row.id_at(T2)?,
        sender: row.id_at(T3)?,
        cursor: Cursor::new(row.place_at(N1)?, row.ordinal_at(I1)?),
        previous: row.try_get::<Option<i16>, _>(S2)?.map(membership_of).transpose()?,
        last_event: row.place_at(N2)?,
        last_membership: row.place_at(N3)?,
        last_ephemeral: Position(row.maybe_count_at(N5)?.unwrap_or_default()),
        // Encryption that began at the horizon or after has not begun yet.
        encrypted_at: encrypted_at.filter(|cursor| cursor.position < horizon),
    })
}

fn account_data(row: &PgRow) -> Done<AccountDataEntry> {
    let room = row.text_at(T1)?;
    Ok(AccountDataEntry {
        room_id: if room.is_empty() { None } else { Some(room.try_into().map_err(|_| damaged("room_id"))?) },
        kind: row.text_at(T2)?,
        content: row.json_at(T3)?,
        position: row.place_at(N1)?,
    })
}

/// All facts, for each query of one view, strictly below its horizon.
async fn facts(
    sql: &mut PgConnection,
    stream: &Stream,
    queries: &[Arc<SyncQuery>],
) -> Done<Vec<Result<Option<SyncFacts>>>> {
    let rows = sqlx::query(FACTS)
        .bind(queries.iter().map(|query| number(query.device.generation)).collect::<Vec<_>>())
        .bind(queries.iter().map(|query| query.device.user_id.as_str()).collect::<Vec<_>>())
        .bind(queries.iter().map(|query| query.since.map(place)).collect::<Vec<_>>())
        .bind(queries.iter().map(|query| place(query.inbox_from.position)).collect::<Vec<_>>())
        .bind(queries.iter().map(|query| ordinal(query.inbox_from)).collect::<Vec<_>>())
        .bind(queries.iter().map(|query| limit(query.inbox_limit.min(1 << 30))).collect::<Vec<_>>())
        .bind(stored_all(SETTINGS))
        .fetch_all(sql)
        .await?;
    let mut found: Vec<Option<Done<Found>>> = queries.iter().map(|_| None).collect();
    for row in &rows {
        let place = numbered(row)?;
        let (Some(found), Some(query)) = (found.get_mut(place), queries.get(place)) else {
            return Err(damaged("query"));
        };
        match found {
            // The statement's parts come in its order.
            None if row.try_get::<i16, _>(KIND)? != 0 => return Err(damaged("kind")),
            None => {
                let horizon = row.place_at(N3)?;
                stream.saw(horizon, row.try_get(N2)?);
                *found = Some(Found::begin(row));
            }
            Some(Ok(begun)) => {
                if let Err(failure) = begun.add(row, query) {
                    *found = Some(Err(failure));
                }
            }
            Some(Err(_)) => {}
        }
    }
    found
        .into_iter()
        .map(|found| {
            let found = found.ok_or(Failure::NotRunning)?;
            Ok(found.map(Found::end).map_err(Into::into))
        })
        .collect()
}

#[async_trait]
impl SyncReads for PostgresStore {
    async fn sync_facts(&self, query: &SyncQuery) -> Result<Option<SyncFacts>> {
        let make = |queries: Vec<Arc<SyncQuery>>| async move {
            read!(self, |connection| facts(connection, self.stream(), &queries).await)
        };
        self.batches().syncs.ask(query.clone(), make).await
    }
}
