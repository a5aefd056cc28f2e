"""Checks, proper scores, calibration, baselines, rolling-origin backtests."""
