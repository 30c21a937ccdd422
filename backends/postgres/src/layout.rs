//! Whether the tables are as the migrations made them: a store of which something is missing must not be served as one
//! without it.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use crate::OpenError;

/// What there is in a database of this version's schema, one a line. A later schema has more.
const EXPECTED: &str = include_str!("../migrations/layout.txt");

/// So many differences are named.
const NAMED: usize = 3;

/// What there is, in words that are the same wherever the store is.
const FOUND: &str = "
    WITH home AS (SELECT relnamespace AS id FROM pg_class WHERE oid = 'store'::regclass)
    SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
    FROM home JOIN pg_class c ON c.relnamespace = home.id JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'index of ' || c.relname || CASE WHEN x.indisunique THEN ' unique' ELSE '' END
        || ' (' || array_to_string(ARRAY(
            SELECT pg_get_indexdef(x.indexrelid, n, true) FROM generate_series(1, x.indnatts) AS n ORDER BY n
        ), ', ') || ')'
    FROM home JOIN pg_class c ON c.relnamespace = home.id JOIN pg_index x ON x.indrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND x.indisvalid
    UNION ALL SELECT 'sequence ' || c.relname FROM home JOIN pg_class c ON c.relnamespace = home.id AND c.relkind = 'S'
    UNION ALL SELECT 'function ' || p.proname FROM home JOIN pg_proc p ON p.pronamespace = home.id
        AND p.prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')";

/// Looks for what is missing or is otherwise than it was made.
pub(crate) async fn check(connection: &mut PgConnection) -> Result<(), OpenError> {
    let found: Vec<String> = sqlx::query_scalar(FOUND).fetch_all(connection).await.map_err(OpenError::Schema)?;
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let missing: Vec<&str> = EXPECTED.lines().filter(|line| !found.contains(line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut what = format!("there is no {}", missing.iter().take(NAMED).copied().collect::<Vec<_>>().join(", no "));
    if missing.len() > NAMED {
        what.push_str(&format!(", and {} more", missing.len() - NAMED));
    }
    Err(OpenError::Altered { what })
}
