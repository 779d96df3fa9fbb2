# What the runbooks of the book begin with: `. ./setting.sh`. Two versions, the first in production and serving, and users.
export TIDEGATE_REGISTRY=${TIDEGATE_REGISTRY:-$PWD/registry}
python3 train.py messages.tsv train model-1.0
python3 train.py messages.tsv train,live model-1.1
tidegate publish intent@1.0.0 model-1.0 --description "naive Bayes, the first"
tidegate promote intent@1.0.0 --channel production --expect none
tidegate publish intent@1.1.0 model-1.1 --description "learnt from live messages, too"
haproxy -D -f haproxy.cfg -p haproxy.pid
python3 users.py messages.tsv http://127.0.0.1:9000/v1 > /dev/null 2>&1 &
