//! Which blocks hold which tokens: a tree whose nodes are full blocks, each after the one before it.
//!
//! A node is found by its parent and its tokens, both compared exactly, so two prefixes are never taken for each other.

use crate::namespace::Namespace;
use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    sync::Arc,
};

/// Never used twice: the id of a node that is gone finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u64);

/// What a block follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Nothing: it is the first.
    Root(Namespace),
    Node(NodeId),
}

type Children = BTreeMap<Arc<[u32]>, NodeId>;

#[derive(Debug)]
struct Node {
    parent: Parent,
    tokens: Arc<[u32]>,
    block: u32,
    children: Children,
}

#[derive(Debug, Default)]
pub struct PrefixTree {
    nodes: HashMap<NodeId, Node>,
    roots: BTreeMap<Namespace, Children>,
    next: u64,
}

impl PrefixTree {
    /// The block that holds these tokens after `parent`.
    pub fn find(&self, parent: Parent, tokens: &[u32]) -> Option<(NodeId, u32)> {
        let children = match parent {
            Parent::Root(namespace) => self.roots.get(&namespace)?,
            Parent::Node(id) => &self.nodes.get(&id)?.children,
        };
        let id = children.get(tokens)?;
        Some((*id, self.nodes.get(id)?.block))
    }

    /// Adds a block that is not there yet. `None` if its parent is gone.
    pub fn insert(&mut self, parent: Parent, tokens: &[u32], block: u32) -> Option<NodeId> {
        let id = NodeId(self.next);
        let tokens: Arc<[u32]> = tokens.into();
        let children = match parent {
            Parent::Root(namespace) => self.roots.entry(namespace).or_default(),
            Parent::Node(parent) => &mut self.nodes.get_mut(&parent)?.children,
        };
        children.insert(Arc::clone(&tokens), id);
        self.next += 1;
        let node = Node {
            parent,
            tokens,
            block,
            children: Children::new(),
        };
        self.nodes.insert(id, node);
        Some(id)
    }

    /// Removes a node. Nothing that follows it can be found any more, so it should have no children.
    pub fn remove(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else {
            return;
        };
        match node.parent {
            Parent::Root(namespace) => {
                if let Some(children) = self.roots.get_mut(&namespace) {
                    children.remove(&node.tokens);
                    if children.is_empty() {
                        self.roots.remove(&namespace);
                    }
                }
            }
            Parent::Node(parent) => {
                if let Some(parent) = self.nodes.get_mut(&parent) {
                    parent.children.remove(&node.tokens);
                }
            }
        }
    }

    /// Removes all nodes of these namespaces and returns their blocks, in an order that depends on nothing but the tree.
    pub fn remove_namespaces(&mut self, namespaces: RangeInclusive<Namespace>) -> Vec<u32> {
        let found: Vec<Namespace> = self.roots.range(namespaces).map(|(namespace, _)| *namespace).collect();
        self.remove_roots(&found)
    }

    /// Like [`Self::remove_namespaces`], for all there are.
    pub fn clear(&mut self) -> Vec<u32> {
        let found: Vec<Namespace> = self.roots.keys().copied().collect();
        self.remove_roots(&found)
    }

    /// Each node's block, with that of its parent, which must be there.
    #[cfg(test)]
    pub fn edges(&self) -> Vec<(u32, Option<u32>)> {
        let parent = |node: &Node| match node.parent {
            Parent::Root(_) => None,
            Parent::Node(id) => Some(self.nodes[&id].block),
        };
        self.nodes.values().map(|node| (node.block, parent(node))).collect()
    }

    fn remove_roots(&mut self, namespaces: &[Namespace]) -> Vec<u32> {
        let mut blocks = Vec::new();
        for namespace in namespaces {
            let children = self.roots.remove(namespace).unwrap_or_default();
            let mut pending: Vec<NodeId> = children.into_values().collect();
            while let Some(node) = pending.pop().and_then(|id| self.nodes.remove(&id)) {
                blocks.push(node.block);
                pending.extend(node.children.into_values());
            }
        }
        blocks
    }
}
