//! How bytes are changed without guidance: a few of the usual changes at once.

/// The most bytes that become of a change: some fill a buffer, none takes long.
const MOST: usize = 32 << 10;

/// A source of numbers that are the same for the same seed (splitmix64, by Sebastiano Vigna).
#[derive(Clone, Copy, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One that is smaller.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end.max(1) as u64) as usize
    }
}

/// One of the beginnings, changed.
pub fn changed(beginnings: &[(String, Vec<u8>)], words: &[&str], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = beginnings[chance.below(beginnings.len())].1.clone();
    for _ in 0..=chance.below(4) {
        let other = &beginnings[chance.below(beginnings.len())].1;
        once(&mut bytes, other, words, chance);
        bytes.truncate(MOST);
    }
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let length = 1 << chance.below(7);
    let end = (at + chance.below(length + 1)).min(bytes.len());
    match chance.below(10) + 1 {
        1 => drop(bytes.drain(at..end)),
        2 => bytes.truncate(at),
        3 => {
            let piece = bytes[at..end].to_vec();
            let to = chance.below(bytes.len() + 1);
            drop(bytes.splice(to..to, piece));
        }
        4 => {
            let from = chance.below(other.len() + 1);
            let piece = other[from..(from + length).min(other.len())].to_vec();
            drop(bytes.splice(at..end, piece));
        }
        5 => {
            let word = words.get(chance.below(words.len())).map_or(&b"\0\0\0\0"[..], |word| word.as_bytes());
            drop(bytes.splice(at..end, word.iter().copied()));
        }
        6 => number(bytes, at, chance),
        7 => digits(bytes, at, chance),
        8 => bytes[at..end].fill(chance.number() as u8),
        // Twice as often as the others.
        _ => flip(bytes, at, chance),
    }
}

fn flip(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << chance.below(8);
    }
}

/// A number of one to eight bytes becomes one at an edge.
fn number(bytes: &mut [u8], at: usize, chance: &mut Chance) {
    let edges = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX >> 1, u64::MAX];
    let value = edges[chance.below(edges.len())].wrapping_add(chance.below(3) as u64).to_le_bytes();
    let width = 1 << chance.below(4);
    for (to, from) in bytes[at..].iter_mut().zip(&value[..width]) {
        *to = *from;
    }
}

/// A number in decimal digits becomes another one.
fn digits(bytes: &mut Vec<u8>, at: usize, chance: &mut Chance) {
    let numbers = [
        "0",
        "-1",
        "255",
        "4294967295",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "1.5",
        "1e99",
    ];
    let Some(begin) = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let length = bytes[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = numbers[chance.below(numbers.len())].bytes();
    drop(bytes.splice(begin..begin + length, number));
}
