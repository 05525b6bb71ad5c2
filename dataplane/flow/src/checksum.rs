//! The Internet checksum, changed rather than computed (RFC 1624).
//!
//! Sums are over 16-bit words as they lie in memory: the one's complement sum does not care about byte order
//! as long as it is the same throughout (RFC 1071 section 2).

/// Adds the carries back in.
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}

/// The change of the sum when the 32-bit word `old` becomes `new`.
#[inline(always)]
pub const fn delta32(old: u32, new: u32) -> u32 {
    let old = !old;
    (old & 0xffff) + (old >> 16) + (new & 0xffff) + (new >> 16)
}

/// A checksum field after the sum of what it covers changed by `delta` (RFC 1624, equation 3).
#[inline(always)]
pub const fn update(field: u16, delta: u16) -> u16 {
    !fold(!field as u32 + delta as u32)
}

/// A field that holds the uncomplemented sum of the pseudo-header, after that changed by `delta`.
#[inline(always)]
pub const fn update_partial(field: u16, delta: u16) -> u16 {
    fold(field as u32 + delta as u32)
}
