//! Queries of keys.

use olmstead_domain::json::RawJson;
use olmstead_storage::keys::{DeviceKeysRow, KeyQuery, UserKeys};
use ruma::UserId;
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    cross_signing,
    error::Done,
    rows::{Columns as _, damaged},
    text::{original, stored_all},
};

/// A column that is an array of texts, and absent when there are none.
fn texts(row: &PgRow, column: &str) -> Done<Vec<String>> {
    Ok(row.try_get::<Option<Vec<String>>, _>(column)?.unwrap_or_default().into_iter().map(original).collect())
}

fn user_keys(row: &PgRow) -> Done<UserKeys> {
    let ids = texts(row, "ids")?.into_iter();
    // JSON is stored as it is.
    let keys = row.try_get::<Option<Vec<String>>, _>("keys")?.unwrap_or_default().into_iter();
    let names = row.try_get::<Option<Vec<Option<String>>>, _>("names")?.unwrap_or_default().into_iter();
    let devices = ids.zip(keys).zip(names).map(|((device_id, keys), display_name)| {
        Ok(DeviceKeysRow {
            device_id: device_id.into(),
            keys: RawJson::from_text(keys).map_err(|_| damaged("keys"))?,
            display_name: display_name.map(original),
        })
    });
    Ok(UserKeys {
        known: row.flag("known")?,
        keyed_devices: texts(row, "keyed")?.into_iter().map(Into::into).collect(),
        devices: devices.collect::<Done<_>>()?,
        cross_signing: cross_signing::keys(row)?,
        asker_signatures: texts(row, "signature_ids")?.into_iter().zip(texts(row, "signatures")?).collect(),
    })
}

/// Reads the keys of users, in the order asked.
pub(super) async fn query(sql: &mut PgConnection, queries: &[KeyQuery], asker: Option<&UserId>) -> Done<Vec<UserKeys>> {
    let devices =
        || queries.iter().zip(1_i64..).flat_map(|(query, number)| query.device_ids.iter().map(move |id| (number, id)));
    sqlx::query(
        "WITH wanted AS (
             SELECT query, array_agg(device_id) AS ids FROM unnest($2::bigint[], $3::text[]) AS w (query, device_id)
             GROUP BY query
         )
         SELECT a.user_id IS NOT NULL AS known, coalesce(c.revision, 0) AS revision, c.master, c.self_signing,
             c.user_signing, d.ids, d.keys, d.names, d.keyed, s.ids AS signature_ids, s.signatures
         FROM unnest($1::text[]) WITH ORDINALITY AS q (user_id, query)
             LEFT JOIN wanted w USING (query)
             LEFT JOIN account a USING (user_id)
             LEFT JOIN cross_signing c USING (user_id)
             LEFT JOIN LATERAL (
                 SELECT array_agg(device_id ORDER BY device_id) FILTER (WHERE asked) AS ids,
                     array_agg(identity_keys ORDER BY device_id) FILTER (WHERE asked) AS keys,
                     array_agg(display_name ORDER BY device_id) FILTER (WHERE asked) AS names,
                     array_agg(device_id) FILTER (WHERE c.master IS NOT NULL) AS keyed
                 FROM (
                     SELECT device_id, identity_keys, display_name, w.ids IS NULL OR device_id = ANY(w.ids) AS asked
                     FROM device WHERE user_id = q.user_id AND identity_keys IS NOT NULL
                 ) device
             ) d ON true
             LEFT JOIN LATERAL (
                 SELECT array_agg(key_id ORDER BY key_id) AS ids, array_agg(signature ORDER BY key_id) AS signatures
                 FROM foreign_signature WHERE signed = q.user_id AND signer = $4 AND signer <> signed
             ) s ON true
         ORDER BY query",
    )
    .bind(queries.iter().map(|query| query.user_id.as_str()).collect::<Vec<_>>())
    .bind(devices().map(|(number, _)| number).collect::<Vec<_>>())
    .bind(stored_all(devices().map(|(_, id)| id)))
    .bind(asker.map(UserId::as_str))
    .fetch_all(sql)
    .await?
    .iter()
    .map(user_keys)
    .collect()
}
