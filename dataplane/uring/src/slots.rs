//! A table with stable indexes whose entries carry a generation, so that a late reference to an entry that was
//! freed and used again is recognised.

/// Which entry, and which of the entries that this place has held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub index: u32,
    pub generation: u32,
}

/// Generations count in 31 bits: the 32nd marks watches in the ring's user data.
const GENERATION_MASK: u32 = u32::MAX >> 1;

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

/// At most `limit` values; adding one more hands it back.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    limit: u32,
}

impl<T> Slots<T> {
    pub fn new(limit: u32) -> Self {
        Self { entries: Vec::new(), free: Vec::new(), limit }
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// # Errors
    /// The table is full; the value comes back.
    #[inline]
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.value = Some(value);
            return Ok(Key { index, generation: entry.generation });
        }
        let index = self.entries.len() as u32;
        if index >= self.limit {
            return Err(value);
        }
        self.entries.push(Entry { generation: 0, value: Some(value) });
        Ok(Key { index, generation: 0 })
    }

    #[inline]
    pub fn get(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation == key.generation { entry.value.as_ref() } else { None }
    }

    #[inline]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = (entry.generation + 1) & GENERATION_MASK;
        self.free.push(key.index);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;

    #[test]
    fn a_late_key_does_not_reach_the_next_owner_of_its_place() {
        let mut slots = Slots::new(1);
        let first = slots.insert('a').unwrap();
        assert_eq!(slots.insert('b'), Err('b'));
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('c').unwrap();
        assert_eq!(second.index, first.index);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&'c'));
        assert_eq!(slots.len(), 1);
    }
}
