//! Machine words that several threads, processes and the kernel's XDP program read and write at once.
//!
//! Natively they are the standard library's atomics. The BPF target has only 64-bit atomics in `core`, yet its
//! instruction set (v3) has 32-bit ones, so there the same operations are made from intrinsics. Plain loads order
//! as acquire and plain stores as release on x86-64 (total store order), which is what the BPF JIT emits there.

#[cfg(not(target_arch = "bpf"))]
mod home {
    use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    pub type Cell32 = AtomicU32;
    pub type Cell64 = AtomicU64;

    macro_rules! operations {
        ($name:ident, $cell:ty, $value:ty) => {
            impl super::$name {
                pub const fn new(value: $value) -> Self {
                    Self(<$cell>::new(value))
                }
                #[inline(always)]
                pub fn get(&self) -> $value {
                    self.0.load(Ordering::Relaxed)
                }
                #[inline(always)]
                pub fn set(&self, value: $value) {
                    self.0.store(value, Ordering::Relaxed);
                }
                /// Reads; what follows is not read earlier.
                #[inline(always)]
                pub fn acquire(&self) -> $value {
                    self.0.load(Ordering::Acquire)
                }
                /// Writes; what precedes is not written later.
                #[inline(always)]
                pub fn release(&self, value: $value) {
                    self.0.store(value, Ordering::Release);
                }
                /// Replaces `from` by `to`; false when another value was there.
                #[inline(always)]
                pub fn swap_if(&self, from: $value, to: $value) -> bool {
                    self.0.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
                }
                /// Adds (wrapping) and returns what was there.
                #[inline(always)]
                pub fn fetch_add(&self, value: $value) -> $value {
                    self.0.fetch_add(value, Ordering::SeqCst)
                }
            }
        };
    }
    operations!(Word, Cell32, u32);
    operations!(Word64, Cell64, u64);

    /// Orders all reads before it ahead of all reads after it.
    #[inline(always)]
    pub fn read_fence() {
        core::sync::atomic::fence(Ordering::Acquire);
    }
}

#[cfg(target_arch = "bpf")]
mod home {
    use core::cell::UnsafeCell;
    use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};
    use core::sync::atomic::{Ordering, compiler_fence};

    pub type Cell32 = UnsafeCell<u32>;
    pub type Cell64 = UnsafeCell<u64>;

    macro_rules! operations {
        ($name:ident, $value:ty) => {
            // SAFETY: every access below is a volatile or an atomic one of natural width.
            unsafe impl Sync for super::$name {}

            impl super::$name {
                pub const fn new(value: $value) -> Self {
                    Self(UnsafeCell::new(value))
                }
                #[inline(always)]
                pub fn get(&self) -> $value {
                    // SAFETY: the cell is live and aligned; the kernel reads it as one word.
                    unsafe { core::ptr::read_volatile(self.0.get()) }
                }
                #[inline(always)]
                pub fn set(&self, value: $value) {
                    // SAFETY: as in `get`.
                    unsafe { core::ptr::write_volatile(self.0.get(), value) }
                }
                #[inline(always)]
                pub fn acquire(&self) -> $value {
                    let value = self.get();
                    compiler_fence(Ordering::Acquire);
                    value
                }
                #[inline(always)]
                pub fn release(&self, value: $value) {
                    compiler_fence(Ordering::Release);
                    self.set(value);
                }
                #[inline(always)]
                pub fn swap_if(&self, from: $value, to: $value) -> bool {
                    // SAFETY: the cell is live and aligned.
                    unsafe {
                        atomic_cxchg::<$value, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                            self.0.get(),
                            from,
                            to,
                        )
                        .1
                    }
                }
                #[inline(always)]
                pub fn fetch_add(&self, value: $value) -> $value {
                    // SAFETY: the cell is live and aligned.
                    unsafe { atomic_xadd::<$value, $value, { AtomicOrdering::SeqCst }>(self.0.get(), value) }
                }
            }
        };
    }
    operations!(Word, u32);
    operations!(Word64, u64);

    #[inline(always)]
    pub fn read_fence() {
        compiler_fence(Ordering::Acquire);
    }
}

pub use home::read_fence;

/// A shared 32-bit word.
#[repr(transparent)]
pub struct Word(home::Cell32);

/// A shared 64-bit word.
#[repr(transparent)]
pub struct Word64(home::Cell64);

impl Default for Word {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Default for Word64 {
    fn default() -> Self {
        Self::new(0)
    }
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.get())
    }
}

impl core::fmt::Debug for Word64 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.get())
    }
}
