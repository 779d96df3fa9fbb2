# Stands for linters and formatters: every file is Python.
set -eu
for file in *.py; do
  python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file"
done
