//! Claims of one-time keys. QUERIES.md says why they are made so.
//!
//! Claims that are made at the same time on a node are one command: those who come while one is under way wait, and are
//! then served together, in the order they came. A crowd at one device so costs one commit and not one each.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use olmstead_domain::{json::RawJson, position::Position};
use olmstead_storage::keys::{ClaimWant, ClaimedKey};

use crate::{
    changes::DEVICE,
    command::Command,
    error::Done,
    locks::Locks,
    rows::{Columns as _, damaged, number},
    text::stored_all,
};

/// Claims of this many devices at most take a lock for each: such locks live in a small shared memory.
const LOCKED: usize = 8;

/// Wishes for keys, those for one pool together.
pub(super) struct Wishes<'a> {
    /// Each pool, and how many keys are wanted from it.
    pools: Vec<(&'a ClaimWant, Wanted)>,
    /// Each wish, and the place of its pool.
    wants: Vec<(&'a ClaimWant, usize)>,
    /// How many wishes each claim has.
    claims: Vec<usize>,
    devices: usize,
}

/// How many keys are wanted from one pool.
#[derive(Default)]
struct Wanted {
    one_time: u64,
    /// Which the fallback key serves, if there is one.
    sparing: u64,
}

/// What came from one pool.
#[derive(Default)]
struct Taken {
    one_time: VecDeque<(String, RawJson)>,
    fallback: Option<(String, RawJson)>,
}

impl<'a> Wishes<'a> {
    pub(super) fn of(claims: &'a [Arc<Vec<ClaimWant>>]) -> Self {
        let mut places = BTreeMap::new();
        let mut wishes = Self { pools: Vec::new(), wants: Vec::new(), claims: Vec::new(), devices: 0 };
        for want in claims.iter().flat_map(|wants| wants.iter()) {
            let place = *places.entry((&want.user_id, &want.device_id, &want.algorithm)).or_insert_with(|| {
                wishes.pools.push((want, Wanted::default()));
                wishes.pools.len() - 1
            });
            if let Some((_, wanted)) = wishes.pools.get_mut(place) {
                *(if want.spares { &mut wanted.sparing } else { &mut wanted.one_time }) += 1;
            }
            wishes.wants.push((want, place));
        }
        wishes.claims = claims.iter().map(|wants| wants.len()).collect();
        wishes.devices =
            places.keys().map(|(user_id, device_id, _)| (user_id, device_id)).collect::<BTreeSet<_>>().len();
        wishes
    }

    /// What the command locks.
    pub(super) fn locks(&self) -> Locks {
        if self.devices > LOCKED {
            return Locks::new();
        }
        self.pools.iter().fold(Locks::new(), |locks, (want, _)| locks.pool(&want.user_id, &want.device_id))
    }

    /// Takes the key of each pool that was uploaded first, else the fallback key, which is marked used. An answer for each
    /// claim.
    pub(super) async fn take(&self, command: &mut Command) -> Done<Vec<Vec<ClaimedKey>>> {
        if self.pools.is_empty() {
            return Ok(self.claims.iter().map(|_| Vec::new()).collect());
        }
        if self.devices > LOCKED {
            self.hold(command).await?;
        }
        // What is uploaded is in view: an upload holds both the lock and the device's row. The rows of the pools are
        // locked for those claims that hold the other of the two, and their newest versions count.
        let rows = sqlx::query(
            "WITH held AS (
                 SELECT w.pool, d.user_id, d.device_id, p.generation, p.algorithm, p.first,
                     least(w.wanted + CASE WHEN p.fallback_key IS NULL THEN w.sparing ELSE 0 END, p.next - p.first)
                         AS taken,
                     p.fallback_id, p.fallback_key, p.fallback_used,
                     (w.sparing > 0 OR w.wanted > p.next - p.first) AND p.fallback_key IS NOT NULL AS fallback
                 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $6::bigint[])
                         WITH ORDINALITY AS w (user_id, device_id, algorithm, wanted, sparing, pool)
                     JOIN device d USING (user_id, device_id) JOIN pool p USING (generation, algorithm)
                 WHERE p.first < p.next OR p.fallback_key IS NOT NULL
                 ORDER BY p.generation, p.algorithm FOR UPDATE OF p
             ), change AS (
                 SELECT * FROM held WHERE taken > 0 OR fallback AND NOT fallback_used
             ), place AS (
                 SELECT (SELECT base FROM running) + pg_current_xact_id()::text::bigint AS position
                 WHERE EXISTS (SELECT FROM change)
             ), pools AS (
                 UPDATE pool p SET first = c.first + c.taken, fallback_used = c.fallback_used OR c.fallback,
                     changed = greatest(p.changed, place.position)
                 FROM change c, place WHERE p.generation = c.generation AND p.algorithm = c.algorithm
             ), logged AS (
                 INSERT INTO change_log (position, kind, subject, detail)
                 SELECT DISTINCT place.position, $5::smallint, user_id, device_id FROM change, place
             )
             SELECT h.pool, k.key_id, k.key, false AS fallback, k.number, (SELECT position FROM place) AS position
             FROM held h JOIN one_time_key k ON k.generation = h.generation AND k.algorithm = h.algorithm
                 AND k.number >= h.first AND k.number < h.first + h.taken
             UNION ALL
             SELECT pool, fallback_id, fallback_key, true, NULL, (SELECT position FROM place) FROM held WHERE fallback
             ORDER BY pool, number",
        )
        .bind(self.pools.iter().map(|(want, _)| want.user_id.as_str()).collect::<Vec<_>>())
        .bind(stored_all(self.pools.iter().map(|(want, _)| want.device_id.as_str())))
        .bind(stored_all(self.pools.iter().map(|(want, _)| want.algorithm.as_str())))
        .bind(self.pools.iter().map(|(_, wanted)| number(wanted.one_time)).collect::<Vec<_>>())
        .bind(DEVICE)
        .bind(self.pools.iter().map(|(_, wanted)| number(wanted.sparing)).collect::<Vec<_>>())
        .fetch_all(command.sql())
        .await?;
        let mut taken: Vec<Taken> = self.pools.iter().map(|_| Taken::default()).collect();
        for row in &rows {
            if let Some(position) = row.maybe_count("position")? {
                command.took(Position(position));
            }
            let pool = usize::try_from(row.count("pool")?).map_err(|_| damaged("pool"))?;
            // They are numbered from 1.
            let pool = taken.get_mut(pool.wrapping_sub(1)).ok_or_else(|| damaged("pool"))?;
            let key = (row.text("key_id")?, row.json("key")?);
            if row.flag("fallback")? {
                pool.fallback = Some(key);
            } else {
                pool.one_time.push_back(key);
            }
        }
        Ok(self.answer(taken))
    }

    /// Holds the devices against uploads, so that the next statement sees all that is in their pools. A deletion takes
    /// them in the same order.
    async fn hold(&self, command: &mut Command) -> Done<()> {
        sqlx::query(
            "SELECT FROM unnest($1::text[], $2::text[]) AS w (user_id, device_id) JOIN device d USING (user_id, device_id)
             ORDER BY d.user_id, d.device_id FOR NO KEY UPDATE OF d",
        )
        .bind(self.pools.iter().map(|(want, _)| want.user_id.as_str()).collect::<Vec<_>>())
        .bind(stored_all(self.pools.iter().map(|(want, _)| want.device_id.as_str())))
        .execute(command.sql())
        .await?;
        Ok(())
    }

    /// What was taken, by claims and in the order of their wishes.
    fn answer(&self, mut taken: Vec<Taken>) -> Vec<Vec<ClaimedKey>> {
        let mut wants = self.wants.iter();
        let mut claim = |wishes: usize| {
            let wants = wants.by_ref().take(wishes);
            wants.filter_map(|(want, pool)| taken.get_mut(*pool).and_then(|pool| pool.next(want))).collect()
        };
        self.claims.iter().map(|wishes| claim(*wishes)).collect()
    }
}

impl Taken {
    /// What one wish gets.
    fn next(&mut self, want: &ClaimWant) -> Option<ClaimedKey> {
        let one_time = if want.spares && self.fallback.is_some() { None } else { self.one_time.pop_front() };
        let ((key_id, key), fallback) = match one_time {
            Some(key) => (key, false),
            None => (self.fallback.clone()?, true),
        };
        Some(ClaimedKey {
            user_id: want.user_id.clone(),
            device_id: want.device_id.clone(),
            key_name: format!("{}:{key_id}", want.algorithm),
            key,
            fallback,
        })
    }
}
