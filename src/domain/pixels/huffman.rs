//! Huffman codes of a JPEG, and the bits that they are read from.
//!
//! Nearly all of a JPEG's bits are coefficients that nobody here needs. So one look at the next bits passes several codes at once, each
//! with the bits behind it.

/// Number of bits that one look takes.
const LOOK: u32 = 11;

/// Least number of bits behind a load.
const LOADED: u32 = 56;

/// A Huffman table, from its description in the file.
#[derive(Clone, Debug)]
pub struct Codes {
    /// By the value of the next bits.
    looks: Box<[Look; 1 << LOOK]>,
    /// By length: the first code behind those of this length, left-aligned in 16 bits.
    ends: [u32; 17],
    /// By length: the index of the code 0 of this length in `symbols`.
    first: [i32; 17],
    symbols: Vec<u8>,
}

/// What the next bits begin with.
#[derive(Clone, Copy, Debug)]
struct Look {
    symbol: u8,
    /// Bits of the first code; 0 when it is longer than a look, or no code.
    length: u8,
    /// Bits of as many AC codes, with what is behind each, as are wholly in these bits.
    run_bits: u8,
    /// Coefficients that those codes pass; [`BLOCK_ENDS`] is added where the last one ends the block. [`AC`] where there are no such codes:
    /// it is more than any block has left.
    run: u8,
}

impl Look {
    const NONE: Look = Look { symbol: 0, length: 0, run_bits: 0, run: AC as u8 };
}

const BLOCK_ENDS: u32 = 128;

/// Coefficients of a block beside the first.
const AC: u32 = 63;

/// Number of looks that a load is enough for.
const LOOKS: u32 = LOADED / LOOK;

impl Codes {
    /// Returns the table for the number of codes of each length, 1 to 16, and their symbols. `None` when they are no Huffman code.
    #[must_use]
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Codes> {
        let mut codes = Codes {
            looks: Box::new([Look::NONE; 1 << LOOK]),
            ends: [0; 17],
            first: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            let (from, count) = (code, u32::from(*count));
            code += count;
            if code > 1 << length || index + count as usize > symbols.len() {
                return None;
            }
            codes.first[length as usize] = index as i32 - from as i32;
            codes.ends[length as usize] = code << (16 - length);
            for (code, symbol) in (from..code).zip(&symbols[index..]) {
                if length <= LOOK {
                    let free = LOOK - length;
                    let look = Look { symbol: *symbol, length: length as u8, ..Look::NONE };
                    codes.looks[(code << free) as usize..((code + 1) << free) as usize].fill(look);
                }
            }
            index += count as usize;
            code <<= 1;
        }
        Some(codes)
    }

    /// Finds for each look the codes that are wholly in it. Needed for tables of AC coefficients.
    #[must_use]
    pub fn with_runs(mut self) -> Codes {
        for bits in 0..self.looks.len() {
            let (mut used, mut run) = (0, 0);
            loop {
                let look = self.looks[(bits << used) & ((1 << LOOK) - 1)];
                let length = u32::from(look.length + (look.symbol & 15));
                if look.length == 0 || used + length > LOOK {
                    break;
                }
                let passed = passed(look.symbol);
                used += length;
                run += passed.unwrap_or_default();
                if passed.is_none() {
                    run += BLOCK_ENDS;
                    break;
                }
                if run > AC {
                    // No block has as many. The first code is then taken alone.
                    used = 0;
                    break;
                }
            }
            if used > 0 {
                self.looks[bits].run_bits = used as u8;
                self.looks[bits].run = run as u8;
            }
        }
        self
    }

    /// Returns the symbol and the length of a code that is longer than a look; `None` when there is no such code.
    #[cold]
    fn long(&self, next: u32) -> Option<(u8, u32)> {
        let length = (LOOK + 1..=16).find(|length| next < self.ends[*length as usize])?;
        let index = self.first[length as usize] + (next >> (16 - length)) as i32;
        Some((*self.symbols.get(usize::try_from(index).ok()?)?, length))
    }
}

/// Coefficients that an AC code passes; `None` when it ends the block.
fn passed(symbol: u8) -> Option<u32> {
    let (zeros, size) = (u32::from(symbol >> 4), symbol & 15);
    (size > 0 || zeros == 15).then_some(zeros + 1)
}

/// The bits of a scan, up to the next marker. Behind them are zeros.
///
/// It is copied where a function is not inlined, so that it can stay in registers.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    file: &'a [u8],
    /// Next byte to load.
    at: usize,
    /// Loaded bits, the next one on top.
    loaded: u64,
    count: u32,
    /// Zeros that were loaded behind the end.
    beyond: u32,
}

impl<'a> Bits<'a> {
    /// Begins to read at an offset.
    #[must_use]
    pub fn new(file: &'a [u8], at: usize) -> Bits<'a> {
        Bits { file, at, loaded: 0, count: 0, beyond: 0 }
    }

    /// Offset of the first byte that is not loaded: that of the marker, once the end was reached.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Whether bits were taken that are not there.
    #[must_use]
    pub fn is_overrun(&self) -> bool {
        self.beyond > self.count
    }

    /// Makes sure that at least [`LOADED`] bits are loaded. Does not ask whether they are: no processor could predict the answer.
    #[inline]
    fn load(&mut self) {
        if let Some(bytes) = self.file.get(self.at..self.at + 8)
            && let Ok(bytes) = bytes.try_into()
        {
            let word = u64::from_be_bytes(bytes);
            // Whether a byte is FF: the usual test for a zero byte, of the complement.
            let complement = !word;
            if complement.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                let bytes = (63 - self.count) / 8;
                // Bits below the counted ones are loaded again, as the same.
                self.loaded |= word >> self.count;
                self.at += bytes as usize;
                self.count += bytes * 8;
                return;
            }
        }
        *self = self.with_bytes();
    }

    /// Loads byte by byte, up to the marker.
    #[cold]
    fn with_bytes(mut self) -> Bits<'a> {
        // Bits below the counted ones may be there from a whole word.
        self.loaded &= !(u64::MAX >> self.count);
        while self.count < LOADED {
            let byte = match (self.file.get(self.at), self.file.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(byte), _) if *byte != 0xFF => {
                    self.at += 1;
                    *byte
                }
                _ => {
                    self.beyond += 8;
                    0
                }
            };
            self.loaded |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
        self
    }

    #[inline]
    fn drop(&mut self, bits: u32) {
        self.loaded <<= bits;
        self.count -= bits;
    }

    /// Reads one bit.
    #[inline]
    pub fn bit(&mut self) -> i32 {
        if self.count == 0 {
            self.load();
        }
        let bit = (self.loaded >> 63) as i32;
        self.drop(1);
        bit
    }

    /// Reads a code. At least 16 more bits are loaded behind it.
    #[inline]
    fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        self.load();
        let look = codes.looks[(self.loaded >> (64 - LOOK)) as usize];
        let (symbol, length) = match look.length {
            0 => codes.long((self.loaded >> 48) as u32)?,
            length => (look.symbol, u32::from(length)),
        };
        self.drop(length);
        Some(symbol)
    }

    /// Reads the difference of a DC coefficient; `None` when it is damaged.
    #[inline]
    pub fn difference(&mut self, codes: &Codes) -> Option<i32> {
        let size = u32::from(self.symbol(codes)?);
        match size {
            0 => Some(0),
            1..=15 => {
                let value = (self.loaded >> (64 - size)) as i32;
                self.drop(size);
                // The lower half of the values stands for negative ones.
                Some(if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value })
            }
            _ => None,
        }
    }

    /// Passes the AC coefficients of a block of a sequential JPEG. Returns `None` when they are damaged.
    #[inline]
    pub fn skip_block(&mut self, codes: &Codes) -> Option<()> {
        let mut at = 0;
        'loads: while at < AC {
            self.load();
            for _ in 0..LOOKS {
                let look = codes.looks[(self.loaded >> (64 - LOOK)) as usize];
                let after = at + u32::from(look.run);
                if after < AC {
                    self.drop(u32::from(look.run_bits));
                    at = after;
                } else if (BLOCK_ENDS..BLOCK_ENDS + AC).contains(&after) {
                    self.drop(u32::from(look.run_bits));
                    return Some(());
                } else {
                    // One code alone: it is longer than a look, or the last one of a block without an end.
                    let symbol = self.symbol(codes)?;
                    self.drop(u32::from(symbol & 15));
                    let Some(passed) = passed(symbol) else { return Some(()) };
                    at += passed;
                    continue 'loads;
                }
            }
        }
        Some(())
    }
}
