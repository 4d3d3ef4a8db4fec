//! What real clients send, beside what a reference says: each is served, or refused by name. Not here: what can never be served
//! (`bad_input`).

mod bodies;
mod conversations;
mod documents;
mod embeddings;
mod nulls;
