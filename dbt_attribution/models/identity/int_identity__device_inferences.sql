{{ infer_devices(ref("int_identity__device_logins")) }}
