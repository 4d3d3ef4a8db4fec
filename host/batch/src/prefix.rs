//! What was computed of a beginning, by its tokens: a tree of whole blocks. A node is found by its parent and its tokens, both compared
//! exactly, below a root that is a [`Namespace`]. Not here: whose blocks may be evicted (`blocks`).

use crate::blocks::BlockId;
use riad_core::Account;
use std::collections::HashMap;

/// Who may share what was computed: an account, with one generation of an adapter or the base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace {
    account: Account,
    adapter: Option<[u8; 32]>,
}

impl Namespace {
    /// `adapter` is the generation's SHA-256; `None` is the base model.
    #[must_use]
    pub fn new(account: Account, adapter: Option<[u8; 32]>) -> Self {
        Self { account, adapter }
    }

    #[must_use]
    pub fn account(&self) -> Account {
        self.account
    }
}

/// A place in the tree: the root of a namespace, or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Root(Namespace),
    Node { id: u64, namespace: Namespace },
}

impl Place {
    pub fn account(&self) -> Account {
        match self {
            Self::Root(namespace) | Self::Node { namespace, .. } => namespace.account,
        }
    }

    fn namespace(&self) -> Namespace {
        match self {
            Self::Root(namespace) | Self::Node { namespace, .. } => *namespace,
        }
    }
}

/// How a node is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NodeKey {
    pub parent: Place,
    pub tokens: Box<[u32]>,
}

#[derive(Debug, Default)]
pub(crate) struct PrefixTree {
    nodes: HashMap<NodeKey, (Place, BlockId)>,
    next_id: u64,
}

impl PrefixTree {
    pub fn find(&self, parent: Place, tokens: &[u32]) -> Option<(Place, BlockId)> {
        let key = NodeKey {
            parent,
            tokens: tokens.into(),
        };
        self.nodes.get(&key).copied()
    }

    /// Adds a node that is not there yet, and returns its place.
    pub fn insert(&mut self, key: NodeKey, block: BlockId) -> Place {
        self.next_id += 1;
        let place = Place::Node {
            id: self.next_id,
            namespace: key.parent.namespace(),
        };
        self.nodes.insert(key, (place, block));
        place
    }

    /// Nodes below it are not found any more; they go when their blocks are evicted.
    pub fn remove(&mut self, key: &NodeKey) {
        self.nodes.remove(key);
    }
}
