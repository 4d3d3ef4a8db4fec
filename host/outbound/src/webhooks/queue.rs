//! Notices that wait, a queue for each tenant: one whose receiver hangs delays its own. Not here: sending (`webhooks`).

use std::collections::{BTreeMap, VecDeque};

/// How many notices may wait and be sent at the same time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// A receiver that is down must not cost memory.
    pub waiting: usize,
    pub waiting_per_tenant: usize,
    pub sending: usize,
    pub sending_per_tenant: usize,
}

pub(super) struct Queue<T> {
    bounds: Bounds,
    /// Those with notices that wait or are being sent.
    tenants: BTreeMap<String, Tenant<T>>,
    waiting: usize,
    sending: usize,
    /// The tenant whose notice was taken last: the one after it is next.
    last: String,
}

struct Tenant<T> {
    waiting: VecDeque<T>,
    sending: usize,
}

impl<T> Queue<T> {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            tenants: BTreeMap::new(),
            waiting: 0,
            sending: 0,
            last: String::new(),
        }
    }

    /// # Errors
    /// Says why the notice is not taken.
    pub fn push(&mut self, tenant: &str, notice: T) -> Result<(), &'static str> {
        if self.waiting >= self.bounds.waiting {
            return Err("too many notices wait");
        }
        let queue = self.tenants.entry(tenant.to_owned()).or_insert_with(|| Tenant {
            waiting: VecDeque::new(),
            sending: 0,
        });
        if queue.waiting.len() >= self.bounds.waiting_per_tenant {
            return Err("too many of the tenant's notices wait");
        }
        queue.waiting.push_back(notice);
        self.waiting += 1;
        Ok(())
    }

    /// The notice to send now, if there is one: the oldest of the next tenant that has one and may send it. It counts until `end`.
    pub fn next(&mut self) -> Option<(String, T)> {
        if self.sending >= self.bounds.sending {
            return None;
        }
        let most = self.bounds.sending_per_tenant;
        let may_send = |(name, tenant): (&String, &Tenant<T>)| {
            (!tenant.waiting.is_empty() && tenant.sending < most).then(|| name.clone())
        };
        let mut in_order = self.tenants.iter().filter_map(may_send);
        let first = in_order.clone().next();
        let name = in_order.find(|name| *name > self.last).or(first)?;
        let tenant = self.tenants.get_mut(&name)?;
        let notice = tenant.waiting.pop_front()?;
        tenant.sending += 1;
        self.sending += 1;
        self.waiting -= 1;
        self.last.clone_from(&name);
        Some((name, notice))
    }

    /// A notice of the tenant has been sent or given up.
    pub fn end(&mut self, name: &str) {
        if let Some(tenant) = self.tenants.get_mut(name) {
            tenant.sending -= 1;
            self.sending -= 1;
            if tenant.sending == 0 && tenant.waiting.is_empty() {
                self.tenants.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<u32> {
        Queue::new(Bounds {
            waiting: 6,
            waiting_per_tenant: 4,
            sending: 3,
            sending_per_tenant: 2,
        })
    }

    fn taken(queue: &mut Queue<u32>) -> Vec<(String, u32)> {
        std::iter::from_fn(|| queue.next()).collect()
    }

    fn pair(name: &str, number: u32) -> (String, u32) {
        (name.to_owned(), number)
    }

    #[test]
    fn a_tenant_whose_receiver_hangs_holds_up_nobody_else() {
        let mut queue = queue();
        for number in 0..4 {
            queue.push("slow", number).unwrap();
        }
        assert_eq!(taken(&mut queue), [pair("slow", 0), pair("slow", 1)]);
        queue.push("quick", 7).unwrap();
        queue.push("quick", 8).unwrap();
        assert_eq!(taken(&mut queue), [pair("quick", 7)]);
        queue.end("quick");
        assert_eq!(taken(&mut queue), [pair("quick", 8)]);
        queue.end("slow");
        assert_eq!(taken(&mut queue), [pair("slow", 2)]);
    }

    #[test]
    fn tenants_take_turns() {
        let mut queue = Queue::new(Bounds {
            sending: 1,
            ..queue().bounds
        });
        for (name, number) in [("a", 0), ("a", 1), ("b", 2), ("b", 3), ("c", 4)] {
            queue.push(name, number).unwrap();
        }
        let mut order = Vec::new();
        while let Some((name, number)) = queue.next() {
            queue.end(&name);
            order.push(number);
        }
        assert_eq!(order, [0, 2, 4, 1, 3]);
        assert!(queue.tenants.is_empty(), "nothing is kept of tenants that have nothing");
    }

    #[test]
    fn no_tenant_fills_the_queue() {
        let mut queue = queue();
        for number in 0..4 {
            queue.push("loud", number).unwrap();
        }
        assert!(queue.push("loud", 4).is_err());
        queue.push("quiet", 5).unwrap();
        queue.push("quiet", 6).unwrap();
        assert!(queue.push("third", 7).is_err(), "six wait");
        queue.next().unwrap();
        queue.push("third", 7).unwrap();
    }
}
