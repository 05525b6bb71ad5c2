//! A `SELECT` with optional conditions. Column names and clauses are literals of this crate; values are
//! always bound.

use crate::connection::Conn;
use crate::error::StoreError;
use crate::query::{Query, Row, Value};

pub(crate) struct Select {
    sql: String,
    values: Vec<Value>,
    joiner: &'static str,
}

impl Select {
    /// `sql` is everything up to, and without, `WHERE`.
    pub fn new(sql: &'static str) -> Self {
        Self { sql: sql.to_owned(), values: Vec::new(), joiner: " WHERE " }
    }

    /// A condition without values.
    pub fn and(mut self, condition: &'static str) -> Self {
        self.next_condition();
        self.sql.push_str(condition);
        self
    }

    /// `column = value`; nothing when there is no value to compare with.
    pub fn and_eq(self, column: &'static str, value: Option<impl Into<Value>>) -> Self {
        self.and_compare(column, " = ", value)
    }

    /// `column operator value`; nothing when there is no value to compare with.
    pub fn and_compare(
        mut self,
        column: &'static str,
        operator: &'static str,
        value: Option<impl Into<Value>>,
    ) -> Self {
        if let Some(value) = value {
            self.next_condition();
            self.sql.push_str(column);
            self.sql.push_str(operator);
            self = self.bind(value);
        }
        self
    }

    /// `column IN (values)`; nothing when `values` is `None`, no row at all when it is empty.
    pub fn and_in(mut self, column: &'static str, values: Option<&[String]>) -> Self {
        let Some(values) = values else { return self };
        self.next_condition();
        let Some((first, others)) = values.split_first() else { return self.raw("1 = 0") };
        self = self.raw(column).raw(" IN (").bind(first);
        for value in others {
            self = self.raw(", ").bind(value);
        }
        self.raw(")")
    }

    /// Starts a condition that [`Self::raw`] and [`Self::bind`] then spell out.
    pub fn and_raw(mut self, sql: &'static str) -> Self {
        self.next_condition();
        self.raw(sql)
    }

    /// Literal SQL at this point.
    pub fn raw(mut self, sql: &'static str) -> Self {
        self.sql.push_str(sql);
        self
    }

    /// A bound value at this point.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.sql.push('?');
        self.values.push(value.into());
        self
    }

    /// `ORDER BY clause`, and `LIMIT` when there is one.
    pub fn order(self, clause: &'static str, limit: Option<u32>) -> Self {
        let ordered = self.raw(" ORDER BY ").raw(clause);
        match limit {
            Some(limit) => ordered.raw(" LIMIT ").bind(limit),
            None => ordered,
        }
    }

    pub async fn fetch(self, conn: &mut Conn) -> Result<Vec<Row>, StoreError> {
        Query::composed(self.sql, self.values).fetch_all(conn).await
    }

    fn next_condition(&mut self) {
        self.sql.push_str(self.joiner);
        self.joiner = " AND ";
    }
}
