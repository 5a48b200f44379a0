//! Tables of the JPEG standard (ITU-T T.81, annexes A and K): order of frequencies, quantization steps, codes.

pub use dukcapil_fr_sim::internals::domain::pixels::standard_codes::{AC, CodeTable, DC};

/// Position of each coefficient in its block, lowest frequency first.
#[rustfmt::skip]
pub const ZIGZAG: [usize; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Quantization steps at quality 50, row by row: of brightness, and of colour.
#[rustfmt::skip]
pub const QUANTIZATION: [[u16; 64]; 2] = [[
     16,  11,  10,  16,  24,  40,  51,  61,  12,  12,  14,  19,  26,  58,  60,  55,
     14,  13,  16,  24,  40,  57,  69,  56,  14,  17,  22,  29,  51,  87,  80,  62,
     18,  22,  37,  56,  68, 109, 103,  77,  24,  35,  55,  64,  81, 104, 113,  92,
     49,  64,  78,  87, 103, 121, 120, 101,  72,  92,  95,  98, 112, 100, 103,  99,
], [
     17,  18,  24,  47,  99,  99,  99,  99,  18,  21,  26,  66,  99,  99,  99,  99,
     24,  26,  56,  99,  99,  99,  99,  99,  47,  66,  99,  99,  99,  99,  99,  99,
     99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,
     99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,  99,
]];

/// Code and length in bits of each symbol; length 0 for a symbol without a code.
pub struct Codes(pub [(u16, u8); 256]);

impl Codes {
    /// Numbers the codes of a table.
    pub fn of((lengths, symbols): &CodeTable) -> Codes {
        let (mut codes, mut symbols, mut code) = ([(0, 0); 256], symbols.iter(), 0);
        for (length, count) in (1..).zip(lengths) {
            for symbol in symbols.by_ref().take(usize::from(*count)) {
                codes[usize::from(*symbol)] = (code, length);
                code += 1;
            }
            code <<= 1;
        }
        Codes(codes)
    }
}
