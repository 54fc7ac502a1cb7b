//! CRC-32 (ISO 3309, as in Ethernet) for the journal's frames.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut index = 0;
    while index < 256 {
        let (mut value, mut bit) = (index as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

pub fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0, |crc, &octet| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ octet)])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_is_the_standards() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
