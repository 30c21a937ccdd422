//! The addresses and databases that a page names, and those that its blocks get instead: a page says `127.0.0.1:8008`, as
//! its reader will, and in a test that port may be taken.

use std::collections::BTreeMap;

use olmstead_postgres_cluster::Database;

use crate::Failure;
use crate::server::free_address;

/// What addresses on this machine begin with.
const HERE: &str = "127.0.0.1:";
/// What the URLs of databases begin with.
const POSTGRES: &str = "postgres://";

/// What was given for what.
pub(super) struct Places<'a> {
    /// The URL of PostgreSQL, if there is one.
    cluster: Option<&'a str>,
    addresses: BTreeMap<String, String>,
    /// They go with this value.
    databases: BTreeMap<String, Database>,
}

impl<'a> Places<'a> {
    pub(super) fn new(cluster: Option<&'a str>) -> Self {
        Self { cluster, addresses: BTreeMap::new(), databases: BTreeMap::new() }
    }

    /// The text with free addresses for those it names, and databases of the cluster for its URLs of databases; the same for
    /// the same throughout a page.
    ///
    /// # Errors
    /// If there are none.
    pub(super) fn give(&mut self, text: &str) -> Result<String, Failure> {
        let text = replaced(
            text,
            POSTGRES,
            |c| !(c.is_whitespace() || "\"'`<>".contains(c)),
            |named| self.database(named).map(str::to_owned),
        )?;
        replaced(
            &text,
            HERE,
            |c| c.is_ascii_digit(),
            |named| {
                if !self.addresses.contains_key(named) {
                    self.addresses.insert(named.to_owned(), free_address()?.to_string());
                }
                Ok(self.addresses.get(named).cloned().unwrap_or_default())
            },
        )
    }

    /// The URL of the database for one that a page names.
    ///
    /// # Errors
    /// If there is no PostgreSQL, or it makes none.
    pub(super) fn database(&mut self, named: &str) -> Result<&str, Failure> {
        if !self.databases.contains_key(named) {
            let cluster = self.cluster.ok_or("the page names a database, and does not say `run on: postgres`")?;
            let database = Database::create(cluster, "docs").map_err(|e| e.to_string())?;
            self.databases.insert(named.to_owned(), database);
        }
        self.databases.get(named).map(Database::url).ok_or_else(|| "the database is gone".to_owned())
    }

    /// A text that a block printed, with the addresses that the page names.
    pub(super) fn take_back(&self, text: &str) -> String {
        let addresses = self.addresses.iter().map(|(named, given)| (given.as_str(), named.as_str()));
        let databases = self.databases.iter().map(|(named, given)| (given.url(), named.as_str()));
        addresses.chain(databases).fold(text.to_owned(), |text, (given, named)| text.replace(given, named))
    }
}

/// The text with something else for each longest piece that begins so and goes on with such characters.
fn replaced(
    text: &str,
    begins: &str,
    goes_on: impl Fn(char) -> bool,
    mut by: impl FnMut(&str) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(begins) {
        let (before, piece) = rest.split_at(at);
        let end = piece[begins.len()..].find(|c| !goes_on(c)).map_or(piece.len(), |end| begins.len() + end);
        result.push_str(before);
        result.push_str(&by(&piece[..end])?);
        rest = &piece[end..];
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_throughout_a_page() -> Result<(), Failure> {
        let mut places = Places::new(None);
        let one = places.give("http://127.0.0.1:8008/health 127.0.0.1:9008")?;
        assert!(!one.contains(":8008") && !one.contains(":9008"), "{one}");
        let two = places.give("curl http://127.0.0.1:8008/health")?;
        assert_eq!(Some(two.trim_start_matches("curl ")), one.split(' ').next());
        assert_eq!(places.take_back(&one), "http://127.0.0.1:8008/health 127.0.0.1:9008");
        Ok(())
    }

    #[test]
    fn a_database_is_of_a_page_about_postgres() {
        assert!(Places::new(None).give("url = \"postgres://olmstead@10.0.0.5/olmstead\"").is_err());
    }

    #[test]
    fn pieces_are_replaced_to_their_end() {
        let by = |piece: &str| Ok(format!("<{piece}>"));
        assert_eq!(replaced("a=x:12/x:3 x:", "x:", |c| c.is_ascii_digit(), by), Ok("a=<x:12>/<x:3> <x:>".to_owned()));
    }
}
