# What an author changes in the template in Python, and what a chat shows of it.
source=src/plugin.py
before="Answered by $name."
after="Written by $name."

edit() {
    sed -i.before 's/Answered by/Written by/' "$source"
}

# Fetches the packages, which is all that needs a registry.
prepare() {
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --retries 1 --timeout 20 --requirement requirements.txt
}
