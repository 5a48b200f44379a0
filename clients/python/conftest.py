pytest_plugins = ["dukcapil_fr_sim"]
