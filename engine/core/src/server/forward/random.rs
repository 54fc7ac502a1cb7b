//! Octets that nobody can foretell, taken from the system in bulk.

const STOCK: usize = 2048;

pub struct Random {
    stock: Box<[u8; STOCK]>,
    at: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self { stock: Box::new([0; STOCK]), at: STOCK }
    }
}

impl Random {
    fn octets<const N: usize>(&mut self) -> [u8; N] {
        if self.at + N > STOCK {
            // It fails only where the kernel has no generator: then no id is safe to send.
            aws_lc_rs::rand::fill(&mut self.stock[..]).expect("the system has no random octets");
            self.at = 0;
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&self.stock[self.at..self.at + N]);
        self.stock[self.at..self.at + N].fill(0);
        self.at += N;
        taken
    }

    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes(self.octets())
    }

    pub fn long(&mut self) -> u64 {
        u64::from_be_bytes(self.octets())
    }

    /// Below `bound`, which is small: the bias is one in 2^64 / `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.long() % bound.max(1) as u64) as usize
    }
}
