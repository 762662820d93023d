dist_man_MANS += \
	man/coffer.1 \
	man/coffer-break-lock.1 \
	man/coffer-header.1 \
	man/coffer-init.1 \
	man/coffer-mount.1 \
	man/coffer-passwd.1 \
	man/coffer-status.1 \
	man/coffer-sync.1 \
	man/coffer-umount.1
dist_man_MANS += man/coffer-format.5
