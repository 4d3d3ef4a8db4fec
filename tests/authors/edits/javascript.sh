# What an author changes in the template in JavaScript, and what a chat shows of it.
source=src/plugin.js
before="Answered by $name."
after="Written by $name."

edit() {
    sed -i.before 's/Answered by/Written by/' "$source"
}

# Fetches the packages, which is all that needs a registry.
prepare() {
    npm install --no-audit --no-fund --loglevel=error --fetch-retries=1
}
