//! Lists of CPUs and of NUMA nodes, such as `0-3,7`, as the masks that the kernel takes.

/// A mask: one bit for each number, in whole 64-bit words.
///
/// Spaces around numbers and empty elements are fine, as with the other runtimes. `most` is the greatest number that may
/// be in it.
///
/// # Errors
///
/// What is wrong with the list, in words; that there is nothing in it is an error too.
pub(crate) fn mask(list: &str, most: u32) -> Result<Vec<u8>, String> {
    let mut mask = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first, most)?, number(last, most)?);
        if first > last {
            return Err(format!("the range {part} goes backwards"));
        }
        let words = last / 64 + 1;
        if mask.len() < 8 * words {
            mask.resize(8 * words, 0);
        }
        for number in first..=last {
            mask[number / 8] |= 1 << (number % 8);
        }
    }
    if mask.is_empty() { Err("there is no number in it".to_owned()) } else { Ok(mask) }
}

/// How many numbers are in a mask.
pub(crate) fn count(mask: &[u8]) -> u32 {
    mask.iter().map(|byte| byte.count_ones()).sum()
}

fn number(text: &str, most: u32) -> Result<usize, String> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} is no number"));
    }
    match text.parse::<u32>() {
        Ok(number) if number <= most => Ok(number as usize),
        _ => Err(format!("{text} is more than {most}, which no kernel has")),
    }
}

#[cfg(test)]
mod tests {
    use super::{count, mask};

    #[test]
    fn lists_become_masks() {
        assert_eq!(mask("0-3,7", 100).unwrap(), [0x8f, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(mask(" 0 , ,1-1,", 100).unwrap(), [3, 0, 0, 0, 0, 0, 0, 0]);
        let far = mask("1030", 2000).unwrap();
        assert_eq!((far.len(), far[128], count(&far)), (136, 1 << 6, 1));
        assert_eq!(count(&mask("5-104,104", 104).unwrap()), 100);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for bad in ["", ",", "a", "1-", "-1", "3-2", "1-2-3", "+1", "0x1", "101", "0-9876543210", "1 2"] {
            assert!(mask(bad, 100).is_err(), "{bad}");
        }
    }
}
