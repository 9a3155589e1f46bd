"""LitServe with its dynamic batching in front of a transformers pipeline."""

import sys

import litserve
from transformers import pipeline


class StanceAPI(litserve.LitAPI):
    def setup(self, device):
        self.classify = pipeline("text-classification", model=sys.argv[1], top_k=None)

    def decode_request(self, request):
        return request["pairs"]

    def predict(self, requests):
        flat = [{"text": sentence, "text_pair": claim} for pairs in requests for sentence, claim in pairs]
        answers = iter(self.classify(flat, batch_size=32))
        return [[next(answers) for _ in pairs] for pairs in requests]

    def encode_response(self, output):
        return {"predictions": output}


if __name__ == "__main__":
    server = litserve.LitServer(StanceAPI(max_batch_size=32, batch_timeout=0.005), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
