"""The adversarial engine: tensors only, no knowledge of tables, scans or privacy.

Import what you need from its modules (``synthkit.gan.trainer``, ``synthkit.gan.losses`` ...). Nothing is re-exported
here so that ``import synthkit`` stays light: every module below this package imports torch.
"""
