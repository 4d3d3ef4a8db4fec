//! Every member of OpenAI's published request types, in tables: with a valid value, null, and a value of another type it is served, or
//! refused by name. `table` sends them; a module for each operation has its members. `GET /v1/models` has none.

mod chat;
mod completions;
mod embeddings;
mod table;
