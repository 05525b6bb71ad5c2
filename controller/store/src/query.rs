//! One statement for either database: text with `?` placeholders, owned values, rows read by column name.

use std::time::Duration;

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row as _, SqlSafeStr, SqlStr};

use crate::connection::{Conn, Connection};
use crate::error::{Fault, StoreError};

/// A value to bind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::Integer(i64::from(value))
            }
        }
    )*};
}
integers!(i64, i32, i16, u32, u16, u8);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'t, T> From<&'t Option<T>> for Value
where
    Self: From<&'t T>,
{
    fn from(value: &'t Option<T>) -> Self {
        value.as_ref().map_or(Self::Null, Into::into)
    }
}

/// A statement on its way to the database.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    sql: SqlStr,
    values: Vec<Value>,
}

/// A statement of this crate, word for word.
pub(crate) fn query(sql: &'static str) -> Query {
    Query { sql: sql.into_sql_str(), values: Vec::new() }
}

impl Query {
    /// A statement that [`crate::select`] put together from this crate's literals.
    pub(crate) fn composed(sql: String, values: Vec<Value>) -> Self {
        // SAFETY of content: only literals of this crate are joined; every value is bound.
        Self { sql: AssertSqlSafe(sql).into_sql_str(), values }
    }

    /// The value of the next `?`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it; how many rows it changed. (On MySQL a row that matched counts, changed or not, as on SQLite.)
    pub async fn execute(self, conn: &mut Conn) -> Result<u64, StoreError> {
        conn.note_change(self.sql.as_str());
        if let (Some(table), Some(Value::Text(id))) = (table_with_id(self.sql.as_str()), self.values.first())
        {
            conn.note_made(table, id);
        }
        let limit = conn.limit();
        let result = match conn.raw()? {
            Connection::Sqlite(connection) => {
                let arguments = sqlite_arguments(self.values)?;
                let done = sqlx::query_with(self.sql, arguments).execute(&mut **connection).await;
                done.map(|done| done.rows_affected()).map_err(StoreError::from)
            }
            Connection::MySql(connection) => {
                let arguments = mysql_arguments(self.values)?;
                let done =
                    in_time(limit, sqlx::query_with(self.sql, arguments).execute(&mut **connection)).await;
                done.map(|done| done.rows_affected())
            }
            Connection::Gone => Err(StoreError::after(Fault::Lost)),
        };
        result.inspect_err(|error| conn.note(error))
    }

    /// All rows. A read outside of transactions whose connection is lost is repeated on another.
    pub async fn fetch_all(self, conn: &mut Conn) -> Result<Vec<Row>, StoreError> {
        let again = conn.has_spare().then(|| self.clone());
        match (self.fetch(conn).await, again) {
            (Err(error), Some(again)) => {
                if conn.replace_lost().await? {
                    again.fetch(conn).await
                } else {
                    Err(error)
                }
            }
            (result, _) => result,
        }
    }

    async fn fetch(self, conn: &mut Conn) -> Result<Vec<Row>, StoreError> {
        let limit = conn.limit();
        let result = match conn.raw()? {
            Connection::Sqlite(connection) => {
                let arguments = sqlite_arguments(self.values)?;
                let rows = sqlx::query_with(self.sql, arguments).fetch_all(&mut **connection).await;
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect()).map_err(StoreError::from)
            }
            Connection::MySql(connection) => {
                let arguments = mysql_arguments(self.values)?;
                let rows =
                    in_time(limit, sqlx::query_with(self.sql, arguments).fetch_all(&mut **connection)).await;
                rows.map(|rows| rows.into_iter().map(Row::MySql).collect())
            }
            Connection::Gone => Err(StoreError::after(Fault::Lost)),
        };
        result.inspect_err(|error| conn.note(error))
    }

    /// The first row, if there is one.
    pub async fn fetch_optional(self, conn: &mut Conn) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch_all(conn).await?.into_iter().next())
    }

    /// The first row of a statement that always has one, such as a count.
    pub async fn fetch_one(self, conn: &mut Conn) -> Result<Row, StoreError> {
        self.fetch_optional(conn).await?.ok_or_else(|| StoreError::broken("a row was expected"))
    }
}

/// The table that a statement adds a row to, if that row begins with its id.
fn table_with_id(sql: &str) -> Option<&str> {
    let (table, columns) = sql.strip_prefix("INSERT INTO ")?.split_once(" (")?;
    columns.starts_with("id,").then_some(table)
}

/// A server that says nothing for too long is as good as gone.
async fn in_time<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, statement).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(StoreError::after(Fault::Lost)),
    }
}

fn sqlite_arguments(values: Vec<Value>) -> Result<SqliteArguments, StoreError> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Null => arguments.add(None::<String>),
            Value::Bool(value) => arguments.add(value),
            Value::Integer(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn mysql_arguments(values: Vec<Value>) -> Result<MySqlArguments, StoreError> {
    let mut arguments = MySqlArguments::default();
    for value in values {
        match value {
            Value::Null => arguments.add(None::<String>),
            Value::Bool(value) => arguments.add(value),
            Value::Integer(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
}

impl Row {
    /// The column of this name.
    pub fn try_get<T: Column>(&self, column: &str) -> Result<T, StoreError> {
        T::from_row(self, column)
    }
}

/// What a column may be read as: text, integers, booleans, reals, and each of them or nothing.
pub(crate) trait Column: Sized {
    fn from_row(row: &Row, column: &str) -> Result<Self, StoreError>;
}

macro_rules! as_stored {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn from_row(row: &Row, column: &str) -> Result<Self, StoreError> {
                Ok(match row {
                    Row::Sqlite(row) => row.try_get(column)?,
                    Row::MySql(row) => row.try_get(column)?,
                })
            }
        }
    )*};
}
as_stored!(String, i64, bool, f64, Option<String>, Option<i64>, Option<bool>, Option<f64>);

// Both databases store BIGINT; MySQL's driver gives it out as nothing shorter.
macro_rules! narrowed {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn from_row(row: &Row, column: &str) -> Result<Self, StoreError> {
                let wide = i64::from_row(row, column)?;
                wide.try_into().map_err(|_| StoreError::corrupt(column))
            }
        }

        impl Column for Option<$type> {
            fn from_row(row: &Row, column: &str) -> Result<Self, StoreError> {
                let wide = Option::<i64>::from_row(row, column)?;
                wide.map(|wide| wide.try_into().map_err(|_| StoreError::corrupt(column))).transpose()
            }
        }
    )*};
}
narrowed!(i32, i16, u32, u16, u8);
