"""What a script does that somebody writes in an afternoon: hash in blocks of 4 KiB, then upload; and back."""

import hashlib
import os
import sys

import boto3


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(4096):
            digest.update(block)
    return digest.hexdigest()


what, directory, prefix = sys.argv[1:]
bucket = boto3.resource("s3").Bucket("models")
if what == "upload":
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        bucket.upload_file(path, f"{prefix}/{name}", {"Metadata": {"sha256": sha256(path)}})
else:
    os.mkdir(directory)
    for found in bucket.objects.filter(Prefix=f"{prefix}/"):
        path = os.path.join(directory, os.path.basename(found.key))
        bucket.download_file(found.key, path)
        if found.Object().metadata["sha256"] != sha256(path):
            sys.exit(f"{found.key} is not what was uploaded")
