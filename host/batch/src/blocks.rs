//! KV blocks (`resources::KV_BLOCKS`): who holds which, which are free, and which keep the K/V of a prefix that may come again.
//!
//! A block is free, held by sequences, or cached: held by none, but found by the tokens whose K/V it has. Only a full block whose
//! tokens were all computed is published to the cache, and from then on it is never written.

use crate::{
    namespace::Namespace,
    prefix_tree::{NodeId, Parent, PrefixTree},
};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, Default)]
struct Block {
    /// Sequences that hold it.
    holders: u32,
    /// What it is found by.
    node: Option<NodeId>,
    /// When its last holder let it go. Its place among the cached ones.
    released: u64,
}

/// A block that was found by its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub node: NodeId,
    pub block: u32,
    /// No sequence holds it.
    pub is_cached: bool,
}

#[derive(Debug)]
pub struct Blocks {
    size: usize,
    blocks: Vec<Block>,
    free: Vec<u32>,
    /// Published blocks that no sequence holds, the one released longest ago first.
    cached: BTreeMap<u64, u32>,
    releases: u64,
    tree: PrefixTree,
}

impl Blocks {
    pub fn new(count: usize, size: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            size: size.max(1),
            blocks: vec![Block::default(); count as usize],
            // Taken from the end: the first block first.
            free: (0..count).rev().collect(),
            cached: BTreeMap::new(),
            releases: 0,
            tree: PrefixTree::default(),
        }
    }

    /// Tokens of a block.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Blocks that hold this many tokens.
    pub fn for_tokens(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.size)
    }

    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    pub fn free(&self) -> usize {
        self.free.len()
    }

    pub fn cached(&self) -> usize {
        self.cached.len()
    }

    /// Blocks that can be allocated.
    pub fn available(&self) -> usize {
        self.free.len() + self.cached.len()
    }

    /// A block that only the caller holds, to be written. Evicts the cached block that was released longest ago if none is free.
    pub fn allocate(&mut self) -> Option<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            // Whoever holds a block holds those before it and releases them after it, so the first one is followed by none.
            None => self.cached.pop_first()?.1,
        };
        let block = self.blocks.get_mut(index as usize)?;
        block.holders = 1;
        if let Some(node) = block.node.take() {
            self.tree.remove(node);
        }
        Some(index)
    }

    /// One more sequence holds a published block.
    pub fn hold(&mut self, index: u32) {
        if let Some(block) = self.blocks.get_mut(index as usize) {
            if block.holders == 0 {
                self.cached.remove(&block.released);
            }
            block.holders += 1;
        }
    }

    /// A sequence lets its blocks go: the last one first, so that a block is evicted before those that lead to it.
    pub fn release(&mut self, table: Vec<u32>) {
        for index in table.into_iter().rev() {
            self.release_one(index);
        }
    }

    pub fn find(&self, parent: Parent, tokens: &[u32]) -> Option<Found> {
        let (node, block) = self.tree.find(parent, tokens)?;
        let is_cached = self.blocks.get(block as usize)?.holders == 0;
        Some(Found { node, block, is_cached })
    }

    /// A block that the caller alone holds is full and all its tokens were computed: it may be shared from now on. Returns the block
    /// to use in its place, which is another one if another sequence has published the same tokens before. `None` if what it follows is gone.
    pub fn publish(&mut self, parent: Parent, tokens: &[u32], index: u32) -> Option<(NodeId, u32)> {
        if let Some((node, published)) = self.tree.find(parent, tokens) {
            if published != index {
                self.hold(published);
                self.release_one(index);
            }
            return Some((node, published));
        }
        let node = self.tree.insert(parent, tokens, index)?;
        self.blocks.get_mut(index as usize)?.node = Some(node);
        Some((node, index))
    }

    /// An account's blocks are found no more. Those that sequences hold stay theirs.
    pub fn forget(&mut self, first: Namespace, last: Namespace) {
        let unpublished = self.tree.remove_namespaces(first..=last);
        self.withdraw(unpublished);
    }

    pub fn forget_all(&mut self) {
        let unpublished = self.tree.clear();
        self.withdraw(unpublished);
    }

    fn withdraw(&mut self, unpublished: Vec<u32>) {
        for index in unpublished {
            let Some(block) = self.blocks.get_mut(index as usize) else {
                continue;
            };
            block.node = None;
            if block.holders == 0 {
                self.cached.remove(&block.released);
                self.free.push(index);
            }
        }
    }

    fn release_one(&mut self, index: u32) {
        let Some(block) = self.blocks.get_mut(index as usize) else {
            return;
        };
        block.holders = block.holders.saturating_sub(1);
        if block.holders > 0 {
            return;
        }
        if block.node.is_some() {
            self.releases += 1;
            block.released = self.releases;
            self.cached.insert(block.released, index);
        } else {
            self.free.push(index);
        }
    }

    #[cfg(test)]
    pub fn holders(&self, index: u32) -> u32 {
        self.blocks[index as usize].holders
    }

    #[cfg(test)]
    pub fn is_published(&self, index: u32) -> bool {
        self.blocks[index as usize].node.is_some()
    }

    /// Panics unless each block is in exactly one place, and whatever follows a block is released and evicted before it.
    #[cfg(test)]
    pub fn check(&self) {
        let mut seen = std::collections::BTreeSet::new();
        for index in &self.free {
            let block = self.blocks[*index as usize];
            assert!(block.holders == 0 && block.node.is_none(), "free: {block:?}");
            assert!(seen.insert(*index));
        }
        for (released, index) in &self.cached {
            let block = self.blocks[*index as usize];
            assert!(block.holders == 0 && block.node.is_some() && block.released == *released);
            assert!(seen.insert(*index));
        }
        let held = self.blocks.iter().filter(|block| block.holders > 0).count();
        assert_eq!(seen.len() + held, self.blocks.len());
        let edges = self.tree.edges();
        let published = self.blocks.iter().filter(|block| block.node.is_some()).count();
        assert_eq!(edges.len(), published);
        for (child, parent) in edges {
            assert!(self.is_published(child));
            let child = self.blocks[child as usize];
            if let Some(parent) = parent.map(|index| self.blocks[index as usize]) {
                assert!(
                    parent.holders >= child.holders,
                    "who holds a block holds those before it"
                );
                assert!(parent.holders > 0 || parent.released > child.released);
            }
        }
    }
}
