# What a job of these tests does, and its name in $1: it notes that it begins, waits as long as there is a file
# hold-NAME, does what a file do-NAME says, and leaves its model as it found it.
set -e
echo begun >>"begun-$1"
while [ -e "hold-$1" ]; do sleep 0.2; done
if [ -e "do-$1" ]; then . "./do-$1"; fi
mkdir "$EXC_OUTPUT/model"
cp "$EXC_INPUT_MODEL"/* "$EXC_OUTPUT/model"
