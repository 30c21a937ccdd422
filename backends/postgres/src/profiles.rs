//! Profiles.

use olmstead_domain::json::RawJson;
use ruma::UserId;
use sqlx::PgConnection;

use crate::{
    accounts::{is_active, make_searchable},
    error::Done,
    rows::Columns as _,
    text::stored,
};

/// All fields, in order of their names; `None` for a user without an account.
pub(crate) async fn profile(sql: &mut PgConnection, user_id: &UserId) -> Done<Option<Vec<(String, RawJson)>>> {
    let rows = sqlx::query(
        "SELECT p.field, p.value FROM account a LEFT JOIN profile p USING (user_id)
         WHERE a.user_id = $1 ORDER BY p.field",
    )
    .bind(user_id.as_str())
    .fetch_all(sql)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut fields = Vec::with_capacity(rows.len());
    for row in &rows {
        if let (Some(field), Some(value)) = (row.maybe_text("field")?, row.maybe_json("value")?) {
            fields.push((field, value));
        }
    }
    Ok(Some(fields))
}

/// Sets or removes a field, under the lock of the user's account data.
pub(crate) async fn set_field(
    sql: &mut PgConnection,
    user_id: &UserId,
    field: &str,
    value: Option<&RawJson>,
) -> Done<()> {
    // A deactivation takes the same lock, and what it removed must not come back.
    if !is_active(&mut *sql, user_id).await? {
        return Ok(());
    }
    sqlx::query(
        "WITH gone AS (DELETE FROM profile WHERE user_id = $1 AND field = $2 AND $3::text IS NULL)
         INSERT INTO profile (user_id, field, value) SELECT $1, $2, $3 WHERE $3 IS NOT NULL
         ON CONFLICT (user_id, field) DO UPDATE SET value = EXCLUDED.value",
    )
    .bind(user_id.as_str())
    .bind(stored(field))
    .bind(value.map(RawJson::get))
    .execute(&mut *sql)
    .await?;
    if field == "displayname" {
        let name: Option<String> = value.and_then(|value| value.read().ok());
        make_searchable(sql, user_id, name.as_deref()).await?;
    }
    Ok(())
}
