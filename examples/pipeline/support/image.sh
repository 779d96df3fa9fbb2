# Stands for `docker buildx build --push --metadata-file …`: what matters is that the image is said by its digest.
set -eu
digest=$(cat serve.py | sha256sum | cut -c 1-64)
mkdir -p ../../../target/pipeline
echo "registry.example.com/team/support@sha256:$digest" > ../../../target/pipeline/image.txt
