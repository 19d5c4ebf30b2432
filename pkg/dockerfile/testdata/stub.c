/* Stands in for icacls, appcmd, sc, powershell and ping under Wine, and for the app: it
   appends its name and arguments, as the C runtime parses them, to the file that
   STUB_LOG names, and ends with STUB_<NAME>, which it says where it is not 0. As sc its
   start has a code of its own, STUB_sc_start, and it answers query: 1060
   until create, then running twice, then stopped with STUB_WIN32 and STUB_OWN. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

static void hex(FILE *f, const wchar_t *s) {
	for (; *s; s++)
		fprintf(f, "%04x", (unsigned)*s);
}

static int number(const wchar_t *name) {
	const wchar_t *v = _wgetenv(name);
	return v ? _wtoi(v) : 0;
}

int wmain(int argc, wchar_t **argv) {
	wchar_t self[MAX_PATH], *name = self, var[80];
	GetModuleFileNameW(NULL, self, MAX_PATH);
	for (wchar_t *p = self; *p; p++)
		if (*p == L'\\')
			name = p + 1;
	*wcschr(name, L'.') = 0;
	const wchar_t *log = _wgetenv(L"STUB_LOG");
	if (!log)
		return 99;
	wchar_t created[MAX_PATH + 8];
	swprintf(created, MAX_PATH + 8, L"%ls.sc", log);
	if (!wcscmp(name, L"sc") && argc > 1 && !wcscmp(argv[1], L"query")) {
		FILE *f = _wfopen(created, L"r+");
		int n = 0;
		if (!f)
			return 1060;
		fscanf(f, "%d", &n);
		rewind(f);
		fprintf(f, "%d\n", n + 1);
		fclose(f);
		printf("\nSERVICE_NAME: %ls\n        TYPE               : 10  WIN32_OWN_PROCESS  \n", argv[2]);
		printf("        STATE              : %s \n", n < 2 ? "4  RUNNING" : "1  STOPPED");
		printf("        WIN32_EXIT_CODE    : %d  (0x%x)\n", n < 2 ? 0 : number(L"STUB_WIN32"), n < 2 ? 0 : number(L"STUB_WIN32"));
		printf("        SERVICE_EXIT_CODE  : %d  (0x%x)\n", n < 2 ? 0 : number(L"STUB_OWN"), n < 2 ? 0 : number(L"STUB_OWN"));
		return 0;
	}
	FILE *f = _wfopen(log, L"ab");
	if (!f)
		return 98;
	hex(f, name);
	for (int i = 1; i < argc; i++) {
		fputc(' ', f);
		hex(f, argv[i]);
	}
	fputc('\n', f);
	fclose(f);
	if (!wcscmp(name, L"sc") && argc > 1 && !wcscmp(argv[1], L"create")) {
		f = _wfopen(created, L"w");
		fprintf(f, "0\n");
		fclose(f);
	}
	swprintf(var, 80, L"STUB_%ls", name);
	if (!wcscmp(name, L"sc") && argc > 1 && !wcscmp(argv[1], L"start"))
		wcscat(var, L"_start");
	if (number(var))
		printf("%ls says that %d is 100%% wrong & why\n", name, number(var)); /* on stdout, as sc and appcmd do */
	else if (wcscmp(name, L"app"))
		printf("%ls has done it\n", name);
	return number(var);
}
