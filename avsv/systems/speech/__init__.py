"""GMM-UBM and i-vectors: who is speaking, by Gaussian mixture models of the speech spectrum?

avsv features --kind mfcc     MFCC with derivatives, and voice activity
avsv speech train-ubm         the universal background model (UBM), diagonal and full
avsv speech score             GMM-UBM: log-likelihood ratio of a speaker's adapted means to the UBM
avsv speech train-extractor   the i-vector extractor, on the full UBM
avsv speech embed             i-vectors, for avsv plda and avsv score
"""
