//! How busy the connections to the database are.

/// How many of its connections are in use now.
pub trait Pools: Send + Sync {
    /// Of each pool.
    fn pools(&self) -> Vec<PoolUse>;
}

/// One pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// What it is for, in a word.
    pub name: &'static str,
    /// Connections at work.
    pub used: u32,
    /// Connections that wait for work.
    pub idle: u32,
}

impl PoolUse {
    pub(super) fn of<D: sqlx::Database>(name: &'static str, pool: &sqlx::Pool<D>) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self { name, used: pool.size().saturating_sub(idle), idle }
    }
}
