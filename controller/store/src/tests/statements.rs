//! Every statement of this crate is one that both databases understand. A statement's text has to be a literal
//! (`query` takes `&'static str`), so the literals of the sources are all there is; `composed` reads what `Select` makes
//! of them.

use std::fs;
use std::path::Path;

use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use updraft_peers::MariaDb;

use super::composed;
use crate::connection::{Backend, Connection};
use crate::network::port::{self, PortFilter};
use crate::{DatabaseUrl, Store};

#[tokio::test]
async fn every_statement_is_understood_by_both_databases() {
    let mut statements = Vec::new();
    collect(Path::new("src"), &mut statements);
    assert!(statements.len() > 250, "only {} statements were found", statements.len());
    let directory = tempfile::tempdir().unwrap();
    let database = MariaDb::shared_database();
    let file = directory.path().join("updraft.sqlite");
    let mut problems = Vec::new();
    for url in [DatabaseUrl::sqlite(file), database.url.parse().unwrap()] {
        let store = Store::open(&url).await.unwrap();
        list_ports(&store).await;
        let mut conn = Backend::open(&url).await.unwrap().writer().await.unwrap();
        for (place, statement) in &statements {
            if url.file().is_some() && is_of_mysql_alone(place, statement) {
                continue;
            }
            let text = AssertSqlSafe(statement.clone()).into_sql_str();
            let prepared = match conn.raw().unwrap() {
                Connection::Sqlite(connection) => connection.prepare(text).await.map(drop),
                Connection::MySql(connection) => connection.prepare(text).await.map(drop),
                Connection::Gone => panic!("the connection is gone"),
            };
            if let Err(error) = prepared {
                problems.push(format!("{place} on {url}: {statement}: {error}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The one list whose conditions are put together in a loop.
async fn list_ports(store: &Store) {
    let some = || Some(vec!["1".to_owned(), "2".to_owned()]);
    let filter = PortFilter {
        ids: some(),
        names: some(),
        network_ids: some(),
        device_ids: some(),
        device_owners: some(),
        server_ids: some(),
        host_ids: some(),
        addresses: some(),
        subnet_ids: some(),
        group_ids: some(),
        visible_to: Some("3".into()),
    };
    assert_eq!(port::list(&mut store.read().await.unwrap(), &filter).await.unwrap(), []);
}

/// What only a server is asked: for locks, for marks, about itself.
fn is_of_mysql_alone(place: &str, statement: &str) -> bool {
    place == "src/mysql.rs" || statement.contains("_LOCK(") || statement.contains("information_schema")
}

fn collect(folder: &Path, statements: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, statements);
        } else if !path.to_string_lossy().contains("/tests") && !path.ends_with("src/select.rs") {
            let place = path.display().to_string();
            let source = fs::read_to_string(&path).unwrap();
            for composed in composed::statements(&source) {
                // What cannot be read is no SQL either: it is listed with what the databases do not understand.
                statements.push((place.clone(), composed.unwrap_or_else(|why| why)));
            }
            for literal in literals(&source) {
                // A verb alone is something that the code looks for.
                let is_whole = literal.split_whitespace().count() > 2;
                if is_whole
                    && ["SELECT ", "INSERT ", "UPDATE ", "DELETE "]
                        .iter()
                        .any(|verb| literal.starts_with(verb))
                {
                    statements.push((place.clone(), literal));
                }
            }
        }
    }
}

/// The string literals of a source, with continued lines joined.
pub(super) fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source.char_indices().map(|(_, character)| character).peekable();
    while let Some(character) = rest.next() {
        match character {
            '/' if rest.peek() == Some(&'/') => {
                while rest.next().is_some_and(|character| character != '\n') {}
            }
            // A character literal, '"' or '\'' among them; a lifetime has no closing quote near it.
            '\'' => match (rest.next(), rest.peek()) {
                (Some('\\'), _) => drop((rest.next(), rest.next())),
                (Some(_), Some('\'')) => drop(rest.next()),
                _ => {}
            },
            '"' => {
                let mut literal = String::new();
                while let Some(character) = rest.next() {
                    match character {
                        '"' => break,
                        '\\' if rest.peek() == Some(&'\n') => {
                            while rest.next_if(|character| character.is_whitespace()).is_some() {}
                        }
                        '\\' => literal.extend(rest.next()),
                        other => literal.push(other),
                    }
                }
                found.push(literal);
            }
            _ => {}
        }
    }
    found
}

#[test]
fn literals_are_found_whole() {
    let source = "// \"no\"\nlet a = '\"'; f(\"SELECT \\\n    1\", 'x', \"\\\"q\\\"\"); fn g<'a>(b: &'a str) { \"c\" }";
    assert_eq!(literals(source), ["SELECT 1", "\"q\"", "c"]);
}
