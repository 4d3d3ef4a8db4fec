# What an author changes in the template in Rust, and what a chat shows of it.
source=src/lib.rs
before="Answered by $name."
after="Written by $name."

edit() {
    sed -i.before 's/Answered by/Written by/' "$source"
}

# Fetches the packages, which is all that needs a registry.
prepare() {
    cargo fetch --quiet
}
