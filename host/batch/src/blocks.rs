//! The blocks of the KV cache: who uses each, which are free, and which are kept for the prefix cache. A block that several sequences
//! use is full and never written again. Not here: how a prefix is found (`prefix`).

use crate::prefix::{Namespace, NodeKey, Place, PrefixTree};
use riad_core::Account;
use std::collections::BTreeMap;

pub(crate) type BlockId = u32;

#[derive(Debug, Default)]
struct Block {
    users: u32,
    /// Where the prefix cache has it.
    node: Option<NodeKey>,
    /// When its last user left.
    left: u64,
}

#[derive(Debug)]
pub(crate) struct BlockPool {
    blocks: Vec<Block>,
    /// Neither used nor cached.
    free: Vec<BlockId>,
    /// Cached and used by nobody, by when the last user left.
    idle: BTreeMap<u64, BlockId>,
    tree: PrefixTree,
    clock: u64,
}

impl BlockPool {
    pub fn new(count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            blocks: (0..count).map(|_| Block::default()).collect(),
            free: (0..count).rev().collect(),
            idle: BTreeMap::new(),
            tree: PrefixTree::default(),
            clock: 0,
        }
    }

    pub fn total(&self) -> usize {
        self.blocks.len()
    }

    /// Blocks that can be had without taking one from a sequence.
    pub fn available(&self) -> usize {
        self.free.len() + self.idle.len()
    }

    pub fn cached(&self) -> usize {
        self.idle.len()
    }

    /// A block for one sequence to write; the cached block that was left longest ago if none is free.
    pub fn allocate(&mut self) -> Option<BlockId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let (_, id) = self.idle.pop_first()?;
                self.forget(id);
                id
            }
        };
        self.block_mut(id)?.users = 1;
        Some(id)
    }

    /// Takes the cached blocks of the beginning of `tokens`, at most `most`, and returns them with the place of the last.
    pub fn take_prefix(
        &mut self,
        namespace: Namespace,
        tokens: &[u32],
        size: usize,
        most: usize,
    ) -> (Vec<BlockId>, Place) {
        let mut place = Place::Root(namespace);
        let mut found = Vec::new();
        for tokens in tokens.chunks_exact(size).take(most) {
            let Some((next, id)) = self.tree.find(place, tokens) else {
                break;
            };
            place = next;
            self.enter(id);
            found.push(id);
        }
        (found, place)
    }

    /// Counts how many blocks of the beginning are cached and used by nobody: taking them makes fewer available.
    pub fn idle_prefix(&self, namespace: Namespace, tokens: &[u32], size: usize, most: usize) -> (usize, usize) {
        let mut place = Place::Root(namespace);
        let (mut found, mut idle) = (0, 0);
        for tokens in tokens.chunks_exact(size).take(most) {
            let Some((next, id)) = self.tree.find(place, tokens) else {
                break;
            };
            place = next;
            found += 1;
            idle += usize::from(self.users(id) == 0);
        }
        (found, idle)
    }

    fn enter(&mut self, id: BlockId) {
        if let Some(block) = self.blocks.get_mut(id as usize) {
            if block.users == 0 {
                self.idle.remove(&block.left);
            }
            block.users += 1;
        }
    }

    /// Offers a full, computed block to the prefix cache, and returns its place. If the cache has the same beginning already, that one
    /// stays.
    pub fn register(&mut self, id: BlockId, parent: Place, tokens: &[u32]) -> Place {
        if let Some((place, _)) = self.tree.find(parent, tokens) {
            return place;
        }
        let key = NodeKey {
            parent,
            tokens: tokens.into(),
        };
        if let Some(block) = self.block_mut(id) {
            block.node = Some(key.clone());
        }
        self.tree.insert(key, id)
    }

    pub fn release(&mut self, id: BlockId) {
        self.clock += 1;
        let clock = self.clock;
        let Some(block) = self.block_mut(id) else { return };
        block.users = block.users.saturating_sub(1);
        if block.users > 0 {
            return;
        }
        block.left = clock;
        if block.node.is_some() {
            self.idle.insert(clock, id);
        } else {
            self.free.push(id);
        }
    }

    /// Takes what an account has out of the prefix cache; blocks in use stay with their users.
    pub fn forget_account(&mut self, account: Option<Account>) {
        let of_account: Vec<BlockId> = (0..)
            .zip(&self.blocks)
            .filter(|(_, block)| {
                block
                    .node
                    .as_ref()
                    .is_some_and(|key| account.is_none_or(|account| key.parent.account() == account))
            })
            .map(|(id, _)| id)
            .collect();
        for id in of_account {
            self.forget(id);
            if let Some(block) = self.blocks.get(id as usize)
                && block.users == 0
            {
                self.idle.remove(&block.left);
                self.free.push(id);
            }
        }
    }

    fn forget(&mut self, id: BlockId) {
        if let Some(key) = self.block_mut(id).and_then(|block| block.node.take()) {
            self.tree.remove(&key);
        }
    }

    pub fn users(&self, id: BlockId) -> u32 {
        self.blocks.get(id as usize).map_or(0, |block| block.users)
    }

    fn block_mut(&mut self, id: BlockId) -> Option<&mut Block> {
        self.blocks.get_mut(id as usize)
    }
}
