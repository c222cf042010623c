//! Headers of tar archives (POSIX ustar): what stands before each file.

/// What everything in an archive is a multiple of.
pub const BLOCK: usize = 512;
/// An archive ends with so many bytes of zeros.
pub const END: usize = 2 * BLOCK;

/// A name is no longer: the field for a longer one's beginning is not used.
const NAME_BYTES_MAX: usize = 100;
/// Where the fields begin, and how many digits the numbers have.
const MODE: (usize, usize) = (100, 7);
const OWNER: (usize, usize) = (108, 7);
const GROUP: (usize, usize) = (116, 7);
const SIZE: (usize, usize) = (124, 11);
const CHANGED: (usize, usize) = (136, 11);
const SUM: (usize, usize) = (148, 6);
const KIND: usize = 156;
const MAGIC: usize = 257;

/// A file or a folder of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its path in the archive.
    pub name: &'a str,
    /// Its permission bits.
    pub mode: u64,
    /// Bytes; 0 for a folder.
    pub size: u64,
    /// When it was changed: seconds since 1970.
    pub changed: u64,
    /// Whether it is a folder.
    pub folder: bool,
}

/// Why something does not fit into a header, or a block is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TarError {
    /// The name is too long.
    #[error("the name {0:?} is longer than {NAME_BYTES_MAX} bytes")]
    Name(Box<str>),
    /// A number has too many digits.
    #[error("{0} has more digits than the header of an archive holds")]
    Number(u64),
    /// The block is no header: its sum is another, or it has no size.
    #[error("a header of the archive is none")]
    Header,
}

impl Member<'_> {
    /// The block before it.
    ///
    /// # Errors
    /// [`TarError::Name`] and [`TarError::Number`].
    pub fn header(&self) -> Result<[u8; BLOCK], TarError> {
        let mut block = [0; BLOCK];
        let name = block.get_mut(..self.name.len()).filter(|_| self.name.len() <= NAME_BYTES_MAX);
        name.ok_or_else(|| TarError::Name(self.name.into()))?.copy_from_slice(self.name.as_bytes());
        let numbers =
            [(MODE, self.mode), (OWNER, 0), (GROUP, 0), (SIZE, self.size), (CHANGED, self.changed)];
        for (field, number) in numbers {
            put(&mut block, field, number)?;
        }
        block[KIND] = if self.folder { b'5' } else { b'0' };
        block[MAGIC..MAGIC + 8].copy_from_slice(b"ustar\x0000");
        let sum = sum_of(&block).into();
        put(&mut block, SUM, sum)?;
        block[SUM.0 + SUM.1 + 1] = b' ';
        Ok(block)
    }
}

/// Name and size that a header tells.
///
/// # Errors
/// [`TarError::Header`].
pub fn read(block: &[u8; BLOCK]) -> Result<(String, u64), TarError> {
    let number = |(at, digits): (usize, usize)| {
        u64::from_str_radix(text(&block[at..=at + digits]).trim(), 8).map_err(|_| TarError::Header)
    };
    if number(SUM)? != u64::from(sum_of(block)) {
        return Err(TarError::Header);
    }
    Ok((text(&block[..NAME_BYTES_MAX]), number(SIZE)?))
}

/// How many bytes fill up the last block of a file.
pub fn padding(size: u64) -> usize {
    // Less than a block.
    (size.next_multiple_of(BLOCK as u64) - size) as usize
}

fn put(block: &mut [u8; BLOCK], (at, digits): (usize, usize), number: u64) -> Result<(), TarError> {
    let octal = format!("{number:0digits$o}");
    if octal.len() > digits {
        return Err(TarError::Number(number));
    }
    block[at..at + digits].copy_from_slice(octal.as_bytes());
    Ok(())
}

/// What stands before the first zero or blank.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The sum over a header, in which its own place counts as blanks.
fn sum_of(block: &[u8; BLOCK]) -> u32 {
    let place = SUM.0..SUM.0 + 8;
    let byte = |(at, byte): (usize, &u8)| u32::from(if place.contains(&at) { b' ' } else { *byte });
    block.iter().enumerate().map(byte).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_back() {
        let member = Member { name: "a/b", mode: 0o644, size: 513, changed: 8, folder: false };
        let mut block = member.header().unwrap();
        assert_eq!(&block[..4], b"a/b\0");
        assert_eq!(&block[124..136], b"00000001001\0");
        assert_eq!(read(&block), Ok(("a/b".to_owned(), 513)));
        assert_eq!(padding(513), BLOCK - 1);
        block[0] = b'b';
        assert_eq!(read(&block), Err(TarError::Header));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let name = "n".repeat(NAME_BYTES_MAX + 1);
        let member = |name, size| Member { name, mode: 0, size, changed: 0, folder: false };
        assert_eq!(member(&name, 0).header(), Err(TarError::Name(name.as_str().into())));
        assert_eq!(member("n", 1 << 33).header(), Err(TarError::Number(1 << 33)));
    }
}
