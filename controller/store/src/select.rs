//! A `SELECT` with optional conditions. Column names and clauses are literals of this crate; values are
//! always bound.

use sqlx::sqlite::SqliteRow;
use sqlx::{Encode, QueryBuilder, Sqlite, Type};

use crate::connection::Conn;
use crate::error::StoreError;

pub(crate) struct Select {
    builder: QueryBuilder<Sqlite>,
    joiner: &'static str,
}

impl Select {
    /// `sql` is everything up to, and without, `WHERE`.
    pub fn new(sql: &'static str) -> Self {
        Self { builder: QueryBuilder::new(sql), joiner: " WHERE " }
    }

    /// A condition without values.
    pub fn and(mut self, condition: &'static str) -> Self {
        self.next_condition();
        self.builder.push(condition);
        self
    }

    /// `column = value`; nothing when there is no value to compare with.
    pub fn and_eq<'t, T>(self, column: &'static str, value: Option<T>) -> Self
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        self.and_compare(column, " = ", value)
    }

    /// `column operator value`; nothing when there is no value to compare with.
    pub fn and_compare<'t, T>(
        mut self,
        column: &'static str,
        operator: &'static str,
        value: Option<T>,
    ) -> Self
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        if let Some(value) = value {
            self.next_condition();
            self.builder.push(column).push(operator).push_bind(value);
        }
        self
    }

    /// `column IN (values)`; nothing when `values` is `None`, no row at all when it is empty.
    pub fn and_in(mut self, column: &'static str, values: Option<&[String]>) -> Self {
        let Some(values) = values else { return self };
        self.next_condition();
        if values.is_empty() {
            self.builder.push("1 = 0");
            return self;
        }
        self.builder.push(column).push(" IN (");
        let mut list = self.builder.separated(", ");
        for value in values {
            list.push_bind(value.clone());
        }
        self.builder.push(")");
        self
    }

    /// Starts a condition that [`Self::raw`] and [`Self::bind`] then spell out.
    pub fn and_raw(mut self, sql: &'static str) -> Self {
        self.next_condition();
        self.raw(sql)
    }

    /// Literal SQL at this point.
    pub fn raw(mut self, sql: &'static str) -> Self {
        self.builder.push(sql);
        self
    }

    /// A bound value at this point.
    pub fn bind<'t, T>(mut self, value: T) -> Self
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        self.builder.push_bind(value);
        self
    }

    /// `ORDER BY clause`, and `LIMIT` when there is one.
    pub fn order(mut self, clause: &'static str, limit: Option<u32>) -> Self {
        self.builder.push(" ORDER BY ").push(clause);
        if let Some(limit) = limit {
            self.builder.push(" LIMIT ").push_bind(i64::from(limit));
        }
        self
    }

    pub async fn fetch(mut self, conn: &mut Conn) -> Result<Vec<SqliteRow>, StoreError> {
        Ok(self.builder.build().fetch_all(conn.raw()).await?)
    }

    fn next_condition(&mut self) {
        self.builder.push(self.joiner);
        self.joiner = " AND ";
    }
}
